//go:build !linux

package bench

import "context"

// Run measures what the options say, where it can.
func Run(context.Context, Options) error { return errLinux }
