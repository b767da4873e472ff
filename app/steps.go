package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/internal/logs"
)

// steps are what has to be undone, in reverse order.
type steps []step

type step struct {
	name string
	undo func(context.Context) error
}

func (s *steps) add(name string, undo func(context.Context) error) {
	*s = append(*s, step{name, undo})
}

// undo runs all steps, the newest first, whatever becomes of each.
func (s *steps) undo(ctx context.Context, lg logs.Log) error {
	var failed []error
	for i := len(*s) - 1; i >= 0; i-- {
		step, began := (*s)[i], time.Now()
		err := step.undo(ctx)
		f := logs.Fields{"step": step.name, "duration_ms": time.Since(began).Milliseconds()}
		if err != nil {
			f["reason"] = err.Error()
			lg.Warn(logs.Stopping, f)
			failed = append(failed, fmt.Errorf("%s: %w", step.name, err))
			continue
		}
		lg.Info(logs.Stopping, f)
	}
	*s = nil
	return errors.Join(failed...)
}
