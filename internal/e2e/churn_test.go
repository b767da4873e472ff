package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/config"
)

// churnVariable makes the test's binary a crowd that comes and goes: "address
// cycles at-once".
const churnVariable = "ROLLCALL_TEST_CHURN"

// churn has clients connect, join, leave and close, cycle after cycle, so many
// at once.
func churn(spec string, out io.Writer) int {
	var addr string
	var cycles, atOnce int
	if _, err := fmt.Sscan(spec, &addr, &cycles, &atOnce); err != nil {
		fmt.Fprintln(out, "spec:", err)
		return 2
	}
	failed := make(chan error, atOnce)
	var all sync.WaitGroup
	for i := range atOnce {
		all.Go(func() {
			for range cycles / atOnce {
				if err := visitOnce(addr, strconv.Itoa(i)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	select {
	case err := <-failed:
		fmt.Fprintln(out, err)
		return 1
	default:
		return 0
	}
}

// visitOnce is one cycle.
func visitOnce(addr, who string) error {
	conn, r, err := dialRaw(addr, "room=r"+who+"&user=u"+who)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := readUntil(conn, r, `{"type":"joined"`); err != nil {
		return err
	}
	if _, err := conn.Write(maskedFrame(1, []byte(`{"type":"leave","id":1,"room":"r`+who+`"}`))); err != nil {
		return err
	}
	if err := readUntil(conn, r, `{"type":"ok","id":1`); err != nil {
		return err
	}
	if _, err := conn.Write(maskedFrame(8, []byte{0x03, 0xe8})); err != nil { // 1000: done
		return err
	}
	return readUntil(conn, r, "\x03\xe8")
}

// readUntil reads frames until one that begins with want.
func readUntil(conn net.Conn, r *bufio.Reader, want string) error {
	for {
		_, payload, err := readFrame(r)
		if err != nil {
			return fmt.Errorf("wait for %s: %w", want, err)
		}
		if bytes.HasPrefix(payload, []byte(want)) {
			return nil
		}
	}
}

// BenchmarkChurn measures the processor time of the server's process for one
// connection that joins a room, leaves it and closes.
func BenchmarkChurn(b *testing.B) {
	const atOnce = 8
	s := start(b, func(c *config.Config) { c.Log.Level = "warn" })
	cycles := (b.N + atOnce - 1) / atOnce * atOnce
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", churnVariable, s.addr, cycles, atOnce))
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	before := processorTime(b)
	b.ResetTimer()
	require.NoError(b, cmd.Run())
	b.StopTimer()
	b.ReportMetric(float64(processorTime(b)-before)/float64(cycles)/1e3, "cpu-us/cycle")
	require.EqualValues(b, cycles, s.metric(b, `rollcall_leaves_total{reason="left"}`))
}
