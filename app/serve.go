package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"

	"golang.org/x/term"

	"rollcall/config"
	"rollcall/internal/logs"
)

// Serve runs a server from a configuration until ctx is done, and returns the
// program's exit code. The log goes to standard error.
func Serve(ctx, hurry context.Context, c *config.Loaded) int {
	format := c.Config.Log.Format
	if format == "auto" {
		format = "json"
		if term.IsTerminal(int(os.Stderr.Fd())) {
			format = "text"
		}
	}
	lg, err := logs.New(os.Stderr, logs.Options{Format: format, Level: c.Config.Log.Level})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	lg.Info(logs.Starting, logs.Fields{"version": Version, "revision": Revision(), "go": runtime.Version(), "pid": os.Getpid()})
	for _, w := range c.Warnings {
		lg.Warn(logs.ConfigWarning, logs.Fields{"reason": w.String()})
	}
	a, err := New(c.Config, lg)
	if err != nil {
		lg.Error(logs.Stopped, logs.Fields{"reason": err.Error()})
		return 1
	}
	if err := a.Run(ctx, hurry); err != nil {
		if hurry.Err() != nil && errors.Is(err, context.Canceled) {
			return 130 // told twice
		}
		return 1
	}
	return 0
}

// Healthcheck asks a server for its health: 0 for yes.
func Healthcheck(c config.Healthcheck) int {
	resp, err := caller(askTimeout, c.SkipVerify).Get(c.URL)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, resp.Status)
		return 1
	}
	return 0
}

// caller makes a client for one call to a server; skipVerify where the address
// is our own, which the certificate need not name.
func caller(timeout time.Duration, skipVerify bool) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: skipVerify}, // #nosec G402 -- see above
		DisableKeepAlives: true,
	}}
}

// VersionText is what `rollcall version` prints.
func VersionText(asJSON bool) string {
	if !asJSON {
		return "rollcall " + Version
	}
	b, err := json.Marshal(map[string]string{
		"version": Version, "revision": Revision(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
	})
	if err != nil {
		panic(err) // strings only
	}
	return string(b)
}
