package config

import (
	"encoding/json"
)

// Patterns of values that are text in YAML and JSON; the bounds of durations and
// sizes with a suffix are beyond what a schema can say.
const (
	durationPattern = `^(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`
	sizePattern     = `^[0-9]+ *(KiB|MiB|GiB)$`
)

// Schema is a JSON Schema (2020-12) of the file, for editors.
func Schema() ([]byte, error) {
	top := map[string]any{}
	for _, s := range sections {
		level := top
		if s.name != "" {
			level = map[string]any{}
			top[s.name] = map[string]any{
				"title":                s.title,
				"description":          s.about,
				"type":                 []string{"object", "null"},
				"additionalProperties": false,
				"properties":           level,
			}
		}
		for _, k := range s.knobs {
			level[k.key()] = k.schema()
		}
	}
	schema, err := json.MarshalIndent(map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "Rollcall configuration",
		"type":                 []string{"object", "null"},
		"additionalProperties": false,
		"properties":           top,
	}, "", "  ")
	return append(schema, '\n'), err
}

func (k *knob) schema() map[string]any {
	schema := map[string]any{"description": k.does + "\n\nRaising it: " + k.more + "\n\nIts cost: " + k.cost}
	switch k.kind {
	case text:
		schema["type"] = "string"
		schema["default"] = k.def
	case choice:
		schema["enum"] = k.options
		schema["default"] = k.def
	case list:
		schema["type"] = "array"
		schema["items"] = map[string]any{"type": "string"}
		schema["default"] = append([]string{}, k.def.([]string)...)
	case duration:
		schema["anyOf"] = []any{
			map[string]any{"type": "string", "pattern": durationPattern},
			map[string]any{"const": 0},
		}
		schema["default"] = k.kind.format(k.def)
	case size:
		schema["anyOf"] = append(k.numberSchema("integer"), map[string]any{"type": "string", "pattern": sizePattern})
		schema["default"] = k.def
	case count:
		schema["anyOf"] = k.numberSchema("integer")
		schema["default"] = k.def
	case rate:
		schema["anyOf"] = k.numberSchema("number")
		schema["default"] = k.def
	}
	if k.secret {
		schema["writeOnly"] = true
	}
	return schema
}

// numberSchema lists the forms of a plain number.
func (k *knob) numberSchema(kind string) []any {
	forms := []any{map[string]any{"type": kind, "minimum": k.min, "maximum": k.max}}
	if k.zero != "" && k.min > 0 {
		forms = append(forms, map[string]any{"const": 0})
	}
	return forms
}
