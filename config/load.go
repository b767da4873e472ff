package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Sources says where values come from, the weakest first.
type Sources struct {
	File    string              // path of a YAML file; "": none
	Environ []string            // NAME=value, as os.Environ has them
	Flags   map[string][]string // by name without the dashes in front; every value given
}

// Loaded is a configuration and where it came from.
type Loaded struct {
	Config   Config
	Origin   map[string]string // by path, for each value that is not the plain default: "file:line:column", a variable or a "--flag"
	Warnings []Problem         // variables that look like settings and are none; keys that are weak
}

// Load reads all sources, a stronger one over a weaker one. The error, if any,
// is a Problems with everything that is wrong anywhere: a bad value is an error
// even if a stronger source has a good one.
func Load(src Sources) (*Loaded, error) {
	l := newLoader()
	if src.File != "" {
		l.yaml(src.File)
	}
	l.environ(src.Environ)
	l.flags(src.Flags)
	return l.finish()
}

// loader is one run of Load.
type loader struct {
	cfg      Config
	origin   map[*knob]string // of what is in cfg; absent: the default
	bad      map[*knob]bool   // some source had a bad value
	problems Problems
	warnings []Problem
}

func newLoader() *loader {
	return &loader{cfg: Default(), origin: map[*knob]string{}, bad: map[*knob]bool{}}
}

// finish comes after all sources.
func (l *loader) finish() (*Loaded, error) {
	l.relate()
	if l.problems != nil {
		return nil, l.problems
	}
	if weak := weakKeys(l.cfg.API.Keys); weak != "" {
		l.warnings = append(l.warnings, Problem{l.origin[find("api.keys")], weak})
	}
	loaded := &Loaded{Config: l.cfg, Origin: map[string]string{}, Warnings: l.warnings}
	for k, where := range l.origin {
		loaded.Origin[k.path] = where
	}
	return loaded, nil
}

func (l *loader) problem(where, format string, args ...any) {
	l.problems = append(l.problems, Problem{where, fmt.Sprintf(format, args...)})
}

// putText stores a value as it is written in any source.
func (l *loader) putText(k *knob, s, where string) {
	v, ok := k.kind.parse(s)
	if !ok {
		l.bad[k] = true
		l.problem(where, "%s = %s, must be %s%s", k.path, quote(s), k.kind.want, k.zeroHint())
		return
	}
	l.put(k, v, where)
}

// put stores a value, or notes the rule that it breaks.
func (l *loader) put(k *knob, v any, where string) {
	if rule := k.broken(v); rule != "" {
		l.bad[k] = true
		l.problem(where, "%s", k.complain(v, rule))
		return
	}
	k.set(&l.cfg, v)
	l.origin[k] = where
}

// environ reads the variables. One that is empty counts as not set.
func (l *loader) environ(environ []string) {
	values := map[string]string{}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			values[name] = value
		}
	}
	known := []string{configVariable}
	for k := range knobs() {
		name := k.env()
		known = append(known, name)
		if k.secret {
			known = append(known, name+"_FILE")
			l.secret(k, name, values)
		} else if value, set := values[name]; set {
			l.putText(k, value, name)
		}
	}
	l.warnUnknown(environ, known)
}

// secret reads a secret from its variable or from the file that its _FILE
// variable names, where line ends separate items too.
func (l *loader) secret(k *knob, name string, values map[string]string) {
	value, set := values[name]
	path, inFile := values[name+"_FILE"]
	switch {
	case set && inFile:
		l.bad[k] = true
		l.problem(name, "is set together with %s_FILE, must be one of them", name)
	case set:
		l.putText(k, value, name)
	case inFile:
		content, err := readFile(path)
		if err != nil {
			l.bad[k] = true
			l.problem(name+"_FILE", "%s: %v", path, err)
			return
		}
		l.put(k, items(string(content), ",\r\n"), name+"_FILE")
	}
}

// warnUnknown only warns: Kubernetes puts variables such as
// ROLLCALL_SERVICE_HOST into every pod beside a service named rollcall.
func (l *loader) warnUnknown(environ, known []string) {
	isKnown := map[string]bool{}
	for _, name := range known {
		isKnown[name] = true
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "ROLLCALL_") && !isKnown[name] {
			l.warnings = append(l.warnings, Problem{name, "no such setting, ignored" + didYouMean(nearest(name, known))})
		}
	}
}

// flags reads the flags. Of one that was given repeatedly the last counts; the
// items of a list add up.
func (l *loader) flags(flags map[string][]string) {
	for k := range knobs() {
		given := flags[k.flag()]
		if len(given) == 0 {
			continue
		}
		value := given[len(given)-1]
		if k.kind == list {
			value = strings.Join(given, ",")
		}
		l.putText(k, value, "--"+k.flag())
	}
}

// relate checks the rules between knobs. A default gives way to what was set;
// rules about a value that is bad already say nothing new.
func (l *loader) relate() {
	for _, r := range relations {
		if l.bad[r.a] || l.bad[r.b] || r.holds(&l.cfg) || l.giveWay(r) {
			continue
		}
		where := l.origin[r.a]
		if where == "" {
			where = l.origin[r.b]
		}
		l.problem(where, "%s", r.complain(&l.cfg))
	}
}

func (l *loader) giveWay(r relation) bool {
	k, other := r.a, r.b
	if l.origin[k] != "" {
		k, other = r.b, r.a
	}
	if r.yield == nil || l.origin[k] != "" {
		return false
	}
	fitted := l.cfg
	r.yield(&fitted, k)
	if k.broken(k.get(&fitted)) != "" || !r.holds(&fitted) {
		return false
	}
	l.cfg = fitted
	l.origin[k] = byDefault + ", to fit " + other.path
	return true
}

// maxFileBytes bounds what is read of a configuration or secret file.
const maxFileBytes = mib

// readFile reads a whole file of at most maxFileBytes. Its errors leave out the
// path.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path) // #nosec G304 -- the operator names it
	if err == nil {
		defer func() { _ = f.Close() }()
		var content []byte
		content, err = io.ReadAll(io.LimitReader(f, maxFileBytes+1))
		if err == nil && len(content) > maxFileBytes {
			err = fmt.Errorf("is longer than %s", formatSize(maxFileBytes))
		}
		if err == nil {
			return content, nil
		}
	}
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return nil, err
}
