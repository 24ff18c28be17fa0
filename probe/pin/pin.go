// Package pin holds the JSON form of what is written, to files or to other processes,
// against a list of its keys in testdata.
//
// What is written today is read by other releases, so that a key that is renamed, or is
// of another type, is a change of a format: it takes a new version, and code that reads
// the old one. A test with [Check] fails then, and also when a key is added, which is
// allowed: then the list gets a line, by hand or with `go test -run TestWritten -pin`.
// The package is for tests only.
package pin

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var rewrite = flag.Bool("pin", false, "write the lists of keys that tests hold what is written against")

// Check compares the keys of values, each a pointer to a struct, with the list in a file.
// It also wants each key to have a tag, and the values to be read again as they were.
func Check(t *testing.T, file string, values ...any) {
	t.Helper()
	var got strings.Builder
	for _, v := range values {
		list, problems := look(v)
		for _, p := range problems {
			t.Error(p)
		}
		got.WriteString(list)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("what is written has other keys than %s lists; see the package comment of probe/pin\n%s", file, diff)
	}
}

// look returns the list of a value's keys, and what is wrong with its JSON form.
func look(v any) (list string, problems []string) {
	typ := reflect.TypeOf(v).Elem()
	fill(reflect.ValueOf(v).Elem(), new(int), nil)
	text, err := json.Marshal(v)
	if err != nil {
		return "", []string{fmt.Sprintf("%v cannot be written: %v", typ, err)}
	}
	again := reflect.New(typ).Interface()
	err = json.Unmarshal(text, again)
	rewritten, err2 := json.Marshal(again)
	if err := errors.Join(err, err2); err != nil {
		problems = append(problems, fmt.Sprintf("%v cannot be read: %v", typ, err))
	} else if diff := cmp.Diff(string(text), string(rewritten)); diff != "" {
		problems = append(problems, fmt.Sprintf("%v is not read as it was written:\n%s", typ, diff))
	}
	paths := keys(text)
	for _, path := range paths {
		if key, _, _ := strings.Cut(path, " "); key != strings.ToLower(key) {
			problems = append(problems, fmt.Sprintf("%v: a field of %s has no tag", typ, key))
		}
	}
	return fmt.Sprintf("%v\n\t%s\n", typ, strings.Join(paths, "\n\t")), problems
}

// keys lists the paths in a JSON text with the types of what is there: "peers[].id
// number".
func keys(text []byte) (found []string) {
	var walk func(v any, at string)
	walk = func(v any, at string) {
		switch v := v.(type) {
		case map[string]any:
			for key, v := range v {
				walk(v, strings.TrimPrefix(at+"."+key, "."))
			}
		case []any:
			for _, v := range v {
				walk(v, at+"[]")
			}
		case float64:
			found = append(found, at+" number")
		default:
			found = append(found, fmt.Sprintf("%s %T", at, v))
		}
	}
	var v any
	_ = json.Unmarshal(text, &v) // it was written just now
	walk(v, "")
	slices.Sort(found)
	return slices.Compact(found)
}

// fill sets all fields of v to something else than zero, which none of them omits. n
// numbers the values; within are the types around v, of which none is filled twice.
func fill(v reflect.Value, n *int, within []reflect.Type) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = time.Date(2026, 5, 4, 3, 2, 1, *n, time.UTC)
		return
	case *netip.Addr:
		*x = netip.AddrFrom4([4]byte{192, 0, 2, byte(*n)})
		return
	case *netip.AddrPort:
		*x = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(*n)}), uint16(*n))
		return
	case *netip.Prefix:
		*x = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(*n)}), 32)
		return
	}
	if slices.Contains(within, v.Type()) {
		return
	}
	within = append(slices.Clip(within), v.Type())
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n%6 + 1))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n%6 + 1)) // a number that an enumeration has, too
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n, within)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n, within)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n, within)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n, within[:len(within)-1])
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.SetString("key")
		fill(value, n, within)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	}
}
