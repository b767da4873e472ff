package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// yaml reads a YAML file.
func (l *loader) yaml(path string) {
	content, err := readFile(path)
	if err != nil {
		l.problem(path, "%v", err)
		return
	}
	l.settings(path, content)
}

// settings reads the content of a YAML file: two levels of mappings, as the
// table has them.
func (l *loader) settings(path string, content []byte) {
	f := &file{loader: l, path: path}
	if root := f.parse(content); root != nil {
		f.root(root)
	}
}

// file is one file being read.
type file struct {
	*loader
	path string
}

// at is the position of a node.
func (f *file) at(n *yaml.Node) string { return position(f.path, n.Line, n.Column) }

func position(path string, line, column int) string {
	return path + ":" + strconv.Itoa(line) + ":" + strconv.Itoa(column)
}

// parse returns the root of the only document, nil if there is none or if it is
// not YAML.
func (f *file) parse(content []byte) *yaml.Node {
	docs, err := yaml.NewLoader(bytes.NewReader(content))
	if err != nil {
		f.problem(f.path, "%v", err)
		return nil
	}
	var doc, next yaml.Node
	switch err := docs.Load(&doc); {
	case err == io.EOF:
		return nil
	case err != nil:
		f.syntax(err)
		return nil
	}
	switch err := docs.Load(&next); {
	case err == nil:
		f.problem(f.at(&next), "a second document, must be a single one")
	case err != io.EOF:
		f.syntax(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil
	}
	return doc.Content[0]
}

// syntax reports what the YAML reader could not read. Its message about an alias
// repeats the alias, which may be a key that should have been quoted.
func (f *file) syntax(err error) {
	where, what := f.path, err.Error()
	if e := (*yaml.LoadError)(nil); errors.As(err, &e) {
		what = e.Message
		if e.Mark.Line > 0 {
			where = position(f.path, e.Mark.Line, max(e.Mark.Column, 1))
		}
	}
	if strings.Contains(what, "anchor") {
		what = "an alias without its anchor; quote a value that begins with *"
	}
	f.problem(where, "not YAML: %s", what)
}

func (f *file) root(n *yaml.Node) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		f.problem(f.at(n), "must be a mapping of settings, is %s", describe(n))
		return
	}
	for key, value := range f.pairs(n) {
		if s := findSection(key.Value); s != nil {
			f.section(s, value)
		} else if k := find(key.Value); k != nil && k.key() == k.path {
			f.value(k, value)
		} else {
			f.unknown(key, key.Value)
		}
	}
}

// section reads the mapping of one section. An empty one, all of it commented
// out, is fine.
func (f *file) section(s *section, n *yaml.Node) {
	target := resolve(n)
	if isNull(target) {
		return
	}
	if target.Kind != yaml.MappingNode {
		f.problem(f.at(n), "%s must be a mapping of settings, is %s", s.name, describe(target))
		return
	}
	for key, value := range f.pairs(target) {
		path := s.name + "." + key.Value
		if k := find(path); k != nil {
			f.value(k, value)
		} else {
			f.unknown(key, path)
		}
	}
}

// pairs walks the entries of a mapping; those whose key can't be the name of a
// setting, or was there before, are reported and left out.
func (f *file) pairs(n *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		first := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			switch {
			case key.Kind != yaml.ScalarNode:
				f.problem(f.at(key), "a key must be the name of a setting, is %s", describe(key))
			case first[key.Value] != nil:
				f.problem(f.at(key), "%s is given twice, first on line %d", quote(key.Value), first[key.Value].Line)
			default:
				first[key.Value] = key
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

func (f *file) unknown(key *yaml.Node, path string) {
	if k := find(path); k != nil {
		s, name, _ := strings.Cut(path, ".")
		f.problem(f.at(key), "unknown key %s; write %s: below %s:", quote(path), name, s)
		return
	}
	var candidates []string
	for _, s := range sections {
		if s.name != "" {
			candidates = append(candidates, s.name)
		}
	}
	for k := range knobs() {
		candidates = append(candidates, k.path)
	}
	f.problem(f.at(key), "unknown key %s%s", quote(path), didYouMean(nearest(path, candidates)))
}

// value reads one setting.
func (f *file) value(k *knob, n *yaml.Node) {
	if k.kind != list {
		if s, fault := scalar(n); fault != "" {
			f.bad[k] = true
			f.problem(f.at(n), "%s %s, must be %s", k.path, fault, k.kind.want)
		} else {
			f.putText(k, s, f.at(n))
		}
		return
	}
	target := resolve(n)
	if target.Kind != yaml.SequenceNode {
		f.bad[k] = true
		f.problem(f.at(n), "%s is %s, must be a list such as [a, b]", k.path, describe(target))
		return
	}
	var values []string
	for _, item := range target.Content {
		s, fault := scalar(item)
		if fault != "" {
			f.bad[k] = true
			f.problem(f.at(item), "an item of %s %s, must be text", k.path, fault)
			continue
		}
		values = append(values, s)
	}
	if !f.bad[k] {
		f.put(k, values, f.at(n))
	}
}

// scalar returns the text of a plain or quoted value, or what is wrong with it.
func scalar(n *yaml.Node) (text, fault string) {
	n = resolve(n)
	if isNull(n) {
		return "", "has no value"
	}
	if n.Kind != yaml.ScalarNode {
		return "", "is " + describe(n)
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		return n.Value, ""
	}
	return "", "has a tag of its own"
}

// resolve follows an alias to what its anchor marks.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return "a single value"
	case yaml.AliasNode:
		return "an alias"
	}
	return fmt.Sprintf("a node of kind %d", n.Kind)
}

// findSection returns the section of this name; the top level has none.
func findSection(name string) *section {
	for _, s := range sections {
		if s.name == name && name != "" {
			return s
		}
	}
	return nil
}
