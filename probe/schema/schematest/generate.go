package schematest

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/wgnode/wgnode/probe/schema"
)

// Document is one of docs/schema.
type Document struct {
	Name  string // of the file, without ".json": the command
	Title string
	Type  reflect.Type // a struct that is printed as JSON
	// Forms are the structs that types with a MarshalJSON of their own are written as.
	Forms map[reflect.Type]reflect.Type
}

// Generate returns the text of a document.
func Generate(d *Document) ([]byte, error) {
	g := &generator{Document: d, defs: make(map[reflect.Type]*jsonschema.Schema), names: make(map[string]reflect.Type)}
	root, err := g.object(d.Type)
	if err != nil {
		return nil, fmt.Errorf("generate schema of %s: %w", d.Name, err)
	}
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = d.Title
	root.Defs = make(map[string]*jsonschema.Schema)
	for name, t := range g.names {
		root.Defs[name] = g.defs[t]
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("generate schema of %s: %w", d.Name, err)
	}
	return append(text, '\n'), nil
}

// generator makes the schemas of all types that a document refers to.
type generator struct {
	*Document
	defs   map[reflect.Type]*jsonschema.Schema // of named types
	names  map[string]reflect.Type             // of those, in the document
	source source
}

// object is the schema of a struct, with references to those of others.
func (g *generator) object(t reflect.Type) (*jsonschema.Schema, error) {
	form := t
	if f := g.Forms[t]; f != nil {
		form = f
	}
	members := make(map[reflect.Type]*jsonschema.Schema)
	if err := g.members(form, members); err != nil {
		return nil, err
	}
	s, err := jsonschema.ForType(form, &jsonschema.ForOptions{TypeSchemas: members})
	if err != nil {
		return nil, err
	}
	tidy(s)
	return s, g.describe(s, t, form)
}

// members collects the schemas of the types in a struct that are not as the library
// has them.
func (g *generator) members(t reflect.Type, found map[reflect.Type]*jsonschema.Schema) error {
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous || !f.IsExported() || f.Tag.Get("json") == "-" {
			continue // what is embedded has its fields here
		}
		if err := g.member(f.Type, found); err != nil {
			return fmt.Errorf("%s.%s: %w", t.Name(), f.Name, err)
		}
	}
	return nil
}

func (g *generator) member(t reflect.Type, found map[reflect.Type]*jsonschema.Schema) error {
	switch {
	case found[t] != nil:
		return nil
	case t == reflect.TypeFor[schema.Version]():
		found[t] = &jsonschema.Schema{Const: jsonschema.Ptr[any](schema.Number)}
		return nil
	case t == reflect.TypeFor[time.Time]():
		found[t] = &jsonschema.Schema{Type: "string", Format: "date-time"}
		return nil
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		found[t] = &jsonschema.Schema{Type: "string"}
		return nil
	case t.Kind() == reflect.String && t.PkgPath() != "":
		var err error
		found[t], err = g.text(t)
		return err
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Array, t.Kind() == reflect.Map:
		return g.member(t.Elem(), found)
	case t.Kind() == reflect.Slice:
		return g.member(t.Elem(), found)
	case t.Kind() == reflect.Struct && t.Name() == "":
		return g.members(t, found)
	case t.Kind() == reflect.Struct:
		var err error
		found[t], err = g.define(t, g.object)
		return err
	}
	return nil
}

// text is the schema of a string type: any string, or, if the type has constants, a
// definition with these.
func (g *generator) text(t reflect.Type) (*jsonschema.Schema, error) {
	values, err := g.source.constants(t)
	if err != nil || len(values) == 0 {
		return &jsonschema.Schema{Type: "string"}, err
	}
	return g.define(t, func(reflect.Type) (*jsonschema.Schema, error) {
		doc, _, err := g.source.comments(t)
		return &jsonschema.Schema{Type: "string", Description: doc, Examples: values}, err
	})
}

// define returns a reference to the definition of a named type, which is made once.
func (g *generator) define(t reflect.Type, build func(reflect.Type) (*jsonschema.Schema, error)) (*jsonschema.Schema, error) {
	name := t.Name()
	if other := g.names[name]; other != nil && other != t { // of another package
		name = path.Base(t.PkgPath()) + "." + name
	}
	ref := &jsonschema.Schema{Ref: "#/$defs/" + name}
	if g.defs[t] != nil {
		return ref, nil
	}
	g.names[name], g.defs[t] = t, ref // it may refer to itself
	s, err := build(t)
	g.defs[t] = s
	return ref, err
}

// tidy makes of what the library says of Go what is said of the JSON: keys may be
// added, a list is never null, and a pointer is null only if its key is always there.
func tidy(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Properties != nil {
		s.AdditionalProperties = nil
	}
	null := slices.Contains(s.Types, "null")
	switch {
	case slices.Contains(s.Types, "array"):
		s.Type, s.Types = "array", nil
	case null && s.Ref != "":
		s.AnyOf, s.Ref, s.Types = []*jsonschema.Schema{{Ref: s.Ref}, {Type: "null"}}, "", nil
	}
	for name, p := range s.Properties {
		tidy(p)
		if slices.Contains(s.Required, name) {
			continue
		}
		if p.AnyOf != nil {
			p.Ref, p.AnyOf = p.AnyOf[0].Ref, nil
		}
		if len(p.Types) == 2 && p.Types[0] == "null" {
			p.Type, p.Types = p.Types[1], nil
		}
	}
	tidy(s.Items)
	if s.AdditionalProperties != nil {
		tidy(s.AdditionalProperties)
	}
}

// describe gives a schema and its properties the comments of the struct t, whose form
// as JSON may be another struct.
func (g *generator) describe(s *jsonschema.Schema, t, form reflect.Type) error {
	doc, fields, err := g.source.comments(t)
	if err != nil {
		return err
	}
	s.Description = doc
	if form != t {
		_, own, err := g.source.comments(form)
		if err != nil {
			return err
		}
		maps.Copy(fields, own)
	}
	return g.fields(s, form, "", fields)
}

// fields describes the properties that are fields of a struct. Those of structs without
// a name, and of embedded ones, are among them.
func (g *generator) fields(s *jsonschema.Schema, t reflect.Type, prefix string, comments map[string]string) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			_, fields, err := g.source.comments(embedded)
			if err != nil {
				return err
			}
			inherited := maps.Clone(comments)
			maps.Copy(inherited, fields)
			if err := g.fields(s, embedded, "", inherited); err != nil {
				return err
			}
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := s.Properties[key]
		if p == nil {
			continue
		}
		p.Description = comments[prefix+f.Name]
		if f.Type.Kind() == reflect.Struct && f.Type.Name() == "" {
			if err := g.fields(p, f.Type, prefix+f.Name+".", comments); err != nil {
				return err
			}
		}
	}
	return nil
}
