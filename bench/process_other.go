//go:build !linux

package bench

import (
	"context"
	"errors"
)

// errLinux is the answer elsewhere: the load is made with epoll, and what
// servers use is read from /proc.
var errLinux = errors.New("the benchmark runs on Linux only")

type launch struct {
	path    string
	args    []string
	env     []string
	dir     string
	address string
}

type process struct{}

func (launch) start(context.Context) (*process, error) { return nil, errLinux }
func (*process) pid() int                              { return 0 }
func (*process) stop()                                 {}
func freeAddress() (string, error)                     { return "", errLinux }
