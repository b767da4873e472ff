package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// machine tells what the figures were taken on, a line each.
func machine() []string {
	var lines []string
	info, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		_, model, _ := bytes.Cut(info, []byte("model name"))
		model, _, _ = bytes.Cut(model, []byte("\n"))
		lines = append(lines, fmt.Sprintf("%d cores: %s", runtime.NumCPU(), strings.Trim(string(model), " \t:")))
	}
	memory, err := os.ReadFile("/proc/meminfo")
	if err == nil {
		lines = append(lines, fmt.Sprintf("%d MiB of memory", after(memory, "MemTotal:")>>10))
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		lines = append(lines, fmt.Sprintf("Linux %s on %s", unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:])))
	}
	lines = append(lines, runtime.Version())
	if out, err := exec.Command("cc", "--version").Output(); err == nil {
		first, _, _ := strings.Cut(string(out), "\n")
		lines = append(lines, first)
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		lines = append(lines, "load average at the start: "+strings.Join(strings.Fields(string(load))[:3], " "))
	}
	return lines
}
