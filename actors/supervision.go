package actors

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/internal/logs"
)

// failure is a panic with the stack of where it happened.
type failure struct {
	reason any
	stack  []byte
}

func (f *failure) String() string { return fmt.Sprint(f.reason) }

// explain adds the stack to a panic on its way to the supervisor. Deferred by
// every Receive.
func explain() {
	if p := recover(); p != nil {
		panic(withStack(p))
	}
}

// withStack makes a failure of a recovered panic, within the recovering call.
func withStack(p any) *failure {
	if f, ok := p.(*failure); ok {
		return f
	}
	return &failure{p, debug.Stack()}
}

// supervisor decides what becomes of a failed child, and says so in one line
// of the log.
type supervisor struct {
	sys  *System
	kind string // of the child: lobby, room or session
	// A child is resumed, with its state, at most this often within a minute;
	// then it is stopped. Never restarted: that would empty it and tell nobody.
	resumes int
}

const (
	failureWindow = time.Minute
	maxFailures   = 100 // that are remembered of one actor
)

// HandleFailure implements actor.SupervisorStrategy.
func (s *supervisor) HandleFailure(_ *actor.ActorSystem, parent actor.Supervisor, child *actor.PID,
	rs *actor.RestartStatistics, reason, message any,
) {
	if rs.NumberOfFailures(failureWindow) == 0 || rs.FailureCount() >= maxFailures {
		rs.Reset() // the list would grow for ever
	}
	rs.Fail()
	count := rs.NumberOfFailures(failureWindow)
	directive := actor.StopDirective
	if count <= s.resumes {
		directive = actor.ResumeDirective
	}
	fields := logs.Fields{
		"kind": s.kind, "actor": child.Id, "reason": fmt.Sprint(reason), "directive": directiveName(directive),
		"count": count, "message_type": fmt.Sprintf("%T", message),
	}
	if pid, ok := parent.(interface{ Self() *actor.PID }); ok {
		fields["parent"] = pid.Self().Id
	}
	if f, ok := reason.(*failure); ok {
		fields["stack"] = string(f.stack)
	}
	if p, ok := parent.(interface{ Actor() actor.Actor }); ok {
		if r, ok := p.Actor().(*room); ok { // whose goroutine this is
			r.sessionFailed(ownName(child), fmt.Sprint(reason))
		}
	}
	s.sys.stats.Failed(s.kind)
	s.sys.log.Error(logs.ActorFailed, fields)
	if directive == actor.ResumeDirective {
		parent.ResumeChildren(child)
		return
	}
	parent.StopChildren(child)
}

func directiveName(d actor.Directive) string {
	if d == actor.ResumeDirective {
		return "resume"
	}
	return "stop"
}
