package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what the processes of a server have used so far, or hold now.
type usage struct {
	cpu      time.Duration // user and system, of all threads
	system   float64       // the part of it that the kernel used, 0 to 1; by ticks of 10 ms
	rss, pss int64         // bytes
	peak     int64         // the highest rss of each process, added up
	sockets  int64         // bytes of the kernel in TCP buffers, of the whole machine
	switches int64         // of context, of all threads, by will and by force
}

// measure looks at the processes.
func measure(pids []int) (usage, error) {
	var u usage
	var user, system int64
	for _, pid := range pids {
		if err := u.add(pid, &user, &system); err != nil {
			return u, fmt.Errorf("measure process %d: %w", pid, err)
		}
	}
	if all := user + system; all > 0 {
		u.system = float64(system) / float64(all)
	}
	stat, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return u, fmt.Errorf("measure socket memory: %w", err)
	}
	_, tcp, _ := bytes.Cut(stat, []byte("TCP:"))
	u.sockets = after(tcp, " mem ") * int64(os.Getpagesize())
	return u, nil
}

func (u *usage) add(pid int, user, system *int64) error {
	// The clock of another process (clock_getcpuclockid(3)) counts nanoseconds,
	// and the threads that have ended, too.
	const schedClock = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil {
		return err
	}
	u.cpu += time.Duration(t.Nano())
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	stat, err := os.ReadFile(dir + "stat") //nolint:gosec // a path of /proc, here and below
	if err != nil {
		return err
	}
	_, fields, _ := bytes.Cut(stat, []byte(") ")) // behind the name
	f := bytes.Fields(fields)
	const utime, stime = 11, 12 // proc_pid_stat(5), 14 and 15, counted from the state
	if len(f) <= stime {
		return fmt.Errorf("%sstat has %d fields", dir, len(f))
	}
	*user += leading(f[utime])
	*system += leading(f[stime])
	smaps, err := os.ReadFile(dir + "smaps_rollup") //nolint:gosec // likewise
	if err != nil {
		return err
	}
	u.rss += after(smaps, "\nRss:") << 10
	u.pss += after(smaps, "\nPss:") << 10
	status, err := os.ReadFile(dir + "status") //nolint:gosec // likewise
	if err != nil {
		return err
	}
	u.peak += after(status, "\nVmHWM:") << 10
	tasks, err := os.ReadDir(dir + "task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		status, err := os.ReadFile(dir + "task/" + task.Name() + "/status") //nolint:gosec // likewise
		if err == nil {                                                     // else it has just ended
			u.switches += after(status, "\nvoluntary_ctxt_switches:") + after(status, "\nnonvoluntary_ctxt_switches:")
		}
	}
	return nil
}

// after is the number behind the first key, blanks skipped; 0: there is none.
func after(b []byte, key string) int64 {
	_, rest, _ := bytes.Cut(b, []byte(key))
	return leading(bytes.TrimLeft(rest, " \t"))
}

// leading is the number that b begins with.
func leading(b []byte) (n int64) {
	for _, d := range b {
		if d < '0' || d > '9' {
			break
		}
		n = n*10 + int64(d-'0')
	}
	return n
}
