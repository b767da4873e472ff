package config

import (
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// YAML writes the effective configuration as a file that Load reads back as the
// same one. Secrets are masked: Load refuses the mask, so that nobody runs with
// it by accident. With origins, a comment behind each value says where it came
// from.
func (l *Loaded) YAML(origins bool) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range sections {
		level := root
		if s.name != "" {
			level = &yaml.Node{Kind: yaml.MappingNode}
			root.Content = append(root.Content, textNode(s.name), level)
		}
		for _, k := range s.knobs {
			value := k.node(&l.Config)
			if origins {
				value.LineComment = oneLine(l.origin(k))
			}
			level.Content = append(level.Content, textNode(k.key()), value)
		}
	}
	return yaml.Dump(root, yaml.WithLineWidth(-1))
}

// byDefault is the origin of a value that nobody gave.
const byDefault = "default"

func (l *Loaded) origin(k *knob) string {
	if where := l.Origin[k.path]; where != "" {
		return where
	}
	return byDefault
}

// node is the value of a knob in YAML.
func (k *knob) node(c *Config) *yaml.Node {
	v := k.get(c)
	switch v := v.(type) {
	case string:
		return textNode(v)
	case []string:
		seq := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range v {
			if k.secret {
				item = maskedKey
			}
			seq.Content = append(seq.Content, textNode(item))
		}
		return seq
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: k.kind.format(v)}
	}
}

func textNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// oneLine keeps the name of an odd file inside its comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}
