package app

import "runtime/debug"

// Version is the server's.
const Version = "0.1.0"

// Revision is the commit that the program was built from; empty: unknown.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
