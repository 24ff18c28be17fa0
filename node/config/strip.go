package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// Strip copies what is left of a wg-quick file without wg-quick's own keys: a
// file for wg(8). It is a filter of lines, as wg-quick(8)'s strip, and judges
// nothing but the value of SaveConfig, so that order, comments and even faults
// stay for wg to see. The path is for messages. The result holds the file's
// secrets.
func Strip(r io.Reader, path string) ([]byte, error) {
	text, err := readAll(r, path)
	if err != nil {
		return nil, err
	}
	text = strings.ReplaceAll(text, "\x00", "") // bash's read drops them
	var left bytes.Buffer
	inInterface := false
	number := 0
	for line := range strings.Lines(text) {
		number++
		// What bash's read takes off, which is less than isSpace.
		line = strings.Trim(line, " \t\n")
		stripped, _, _ := strings.Cut(line, "#")
		name, value, _ := strings.Cut(stripped, "=")
		name, value = trim(name), trim(value)
		if strings.HasPrefix(name, "[") {
			inInterface = strings.EqualFold(name, "[Interface]")
		}
		if i := indexOf(interfaceKeys, name); !inInterface || i < 0 || interfaceKeys[i].wg {
			left.WriteString(line + "\n")
			continue
		}
		if strings.EqualFold(name, "SaveConfig") {
			if _, err := parseBool(value); err != nil {
				return nil, Errors{{path, number, "SaveConfig", err.Error()}}
			}
		}
	}
	left.WriteByte('\n') // wg-quick prints it with bash's echo
	return left.Bytes(), nil
}

// readAll reads a file of a sane size.
func readAll(r io.Reader, path string) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	var failed *fs.PathError
	if errors.As(err, &failed) {
		err = failed.Err // it would name the file once more
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > maxSize {
		return "", fmt.Errorf("read %s: larger than %d MiB", path, maxSize>>20)
	}
	return string(text), nil
}

func indexOf(keys []keyword, name string) int {
	return slices.IndexFunc(keys, func(k keyword) bool { return strings.EqualFold(k.name, name) })
}
