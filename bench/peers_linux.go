package bench

import "syscall"

// endsWithUs has a child killed when we end, whatever ends us.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
