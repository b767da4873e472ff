package actors

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"
)

// invoker is an actor that takes down what its mailbox hands it. It panics at a
// message "panic", and tells where two goroutines are in it at once.
type invoker struct {
	box     *mailbox
	inside  sync.Mutex
	crossed bool
	got     []string
	idle    chan struct{} // gets one for each message
}

func newInvoker() *invoker {
	i := &invoker{box: newMailbox().(*mailbox), idle: make(chan struct{}, 1<<20)}
	i.box.RegisterHandlers(i, nil)
	return i
}

func (i *invoker) note(s string) {
	if !i.inside.TryLock() {
		i.crossed = true
		return
	}
	defer i.inside.Unlock()
	i.got = append(i.got, s)
	i.idle <- struct{}{}
	if s == "panic" {
		panic(s)
	}
}

func (i *invoker) InvokeSystemMessage(m any) { i.note("system " + fmt.Sprint(m)) }
func (i *invoker) InvokeUserMessage(m any)   { i.note(fmt.Sprint(m)) }

// EscalateFailure suspends the mailbox, as the library's context does.
func (i *invoker) EscalateFailure(reason, message any) {
	i.note(fmt.Sprintf("failed with %v at %v", reason, message))
	i.box.PostSystemMessage(&actor.SuspendMailbox{})
}

func (i *invoker) wait(n int) {
	for range n {
		<-i.idle
	}
}

func (i *invoker) want(t *testing.T, want ...string) {
	t.Helper()
	i.wait(len(want))
	i.inside.Lock()
	defer i.inside.Unlock()
	if !slices.Equal(i.got, want) || i.crossed {
		t.Fatalf("got %q (two at once: %t), want %q", i.got, i.crossed, want)
	}
	i.got = nil
}

func TestMailboxKeepsOrder(t *testing.T) {
	i := newInvoker()
	var want []string
	for n := range 3 * atOnce {
		want = append(want, strconv.Itoa(n))
		i.box.PostUserMessage(n)
	}
	i.want(t, want...)
}

func TestMailboxTakesSystemMessagesFirst(t *testing.T) {
	i := newInvoker()
	i.box.strand.running = true // as if somebody were busy
	i.box.PostUserMessage("a")
	i.box.PostUserMessage("b")
	i.box.PostSystemMessage("stop")
	go i.box.strand.run()
	i.want(t, "system stop", "a", "b")
}

func TestMailboxWaitsAfterAPanicUntilItIsResumed(t *testing.T) {
	i := newInvoker()
	i.box.strand.running = true
	for _, m := range []string{"panic", "later", "last"} {
		i.box.PostUserMessage(m)
	}
	go i.box.strand.run()
	i.want(t, "panic", "failed with panic at panic")
	i.box.PostSystemMessage("a child ended") // is handled all the same
	i.want(t, "system a child ended")
	i.box.PostSystemMessage(&actor.ResumeMailbox{})
	i.want(t, "later", "last")
}

// Whoever posts, and from wherever: each message is handled once, one at a
// time, and those of one sender in their order.
func TestMailboxLosesNothing(t *testing.T) {
	const senders, each = 4, 2000
	i := newInvoker()
	for s := range senders {
		go func() {
			for n := range each {
				i.box.PostUserMessage(fmt.Sprint(s, " ", n))
				if n%100 == 0 {
					i.box.PostSystemMessage(s)
				}
			}
		}()
	}
	i.wait(senders * (each + each/100))
	i.inside.Lock()
	defer i.inside.Unlock()
	next := [senders]int{}
	for _, line := range i.got {
		var s, n int
		if _, err := fmt.Sscan(line, &s, &n); err != nil {
			continue // a system message
		}
		if n != next[s] {
			t.Fatalf("sender %d: got message %d, want %d", s, n, next[s])
		}
		next[s]++
	}
	if next != [senders]int{each, each, each, each} || i.crossed {
		t.Errorf("got %d of each, want %d; two at once: %t", next, each, i.crossed)
	}
}

func TestQueueIsFirstInFirstOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []int
		for n := range rapid.IntRange(0, 50).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") {
				q.push(&letter{message: n})
				model = append(model, n)
				continue
			}
			var got, want any
			if len(model) > 0 {
				want, model = model[0], model[1:]
			}
			if l := q.pop(); l != nil {
				got = l.message
			}
			if got != want {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	})
}

func (i *invoker) on(s *strand) *invoker {
	i.box = s.mailbox()
	i.box.RegisterHandlers(i, nil)
	return i
}

// Actors of one strand are never at work at the same time, and one that is
// suspended holds up nobody else; what it missed comes first when it is resumed.
func TestStrandRunsOneAtATime(t *testing.T) {
	s := newStrand(nil)
	a, b := newInvoker().on(s), newInvoker().on(s)
	s.running = true
	a.box.PostUserMessage("panic")
	for n := range 3 {
		a.box.PostUserMessage(n)
		b.box.PostUserMessage(n)
	}
	go s.run()
	a.want(t, "panic", "failed with panic at panic")
	b.want(t, "0", "1", "2")
	a.box.PostUserMessage(3)
	b.box.PostUserMessage(3)
	a.box.PostSystemMessage(&actor.ResumeMailbox{})
	a.want(t, "0", "1", "2", "3")
	b.want(t, "3")

	var inside sync.Mutex
	const each = 2000
	alone := func() {
		if !inside.TryLock() {
			t.Error("two at once")
			return
		}
		runtime.Gosched()
		inside.Unlock()
	}
	x, y := &caller{do: alone}, &caller{do: alone}
	for _, c := range []*caller{x, y} {
		c.box = s.mailbox()
		c.box.RegisterHandlers(c, nil)
	}
	var senders, handled sync.WaitGroup
	x.done, y.done = &handled, &handled
	handled.Add(2 * each)
	for _, c := range []*caller{x, y} {
		senders.Go(func() {
			for n := range each {
				if n%2 == 0 {
					c.box.PostUserMessage(n)
				} else {
					c.box.postSoon(n, &void{})
				}
			}
		})
	}
	senders.Wait()
	handled.Wait()
}

// caller is an actor that calls do for each message.
type caller struct {
	box  *mailbox
	do   func()
	done *sync.WaitGroup
}

func (c *caller) InvokeSystemMessage(any)  {}
func (c *caller) InvokeUserMessage(any)    { c.do(); c.done.Done() }
func (c *caller) EscalateFailure(_, _ any) {}

// soon is a connection that remembers what it is to do soon.
type soon struct {
	void
	f []func()
}

func (s *soon) Soon(f func()) { s.f = append(s.f, f) }

// What comes by a connection is handled on its goroutine where the strand is
// light, up to so many messages; then there is a goroutine for the rest.
func TestALightStrandRunsOnTheConnectionsGoroutine(t *testing.T) {
	rests := 0
	s := newStrand(func() { rests++ })
	i, on := newInvoker().on(s), &soon{}
	s.light.Store(true)
	for n := range turnMessages + 2 {
		i.box.postSoon(n, on)
	}
	if len(on.f) != 1 || len(i.got) != 0 {
		t.Fatalf("%d calls are to come, %q are handled", len(on.f), i.got)
	}
	on.f[0]() // returns with messages left, which another goroutine handles
	var all []string
	for n := range turnMessages + 2 {
		all = append(all, strconv.Itoa(n))
	}
	i.want(t, all...)
	for { // until that goroutine has ended
		s.mu.Lock()
		running := s.running
		s.mu.Unlock()
		if !running {
			break
		}
		runtime.Gosched()
	}
	if rests < 2 {
		t.Errorf("it rested %d times", rests)
	}

	s.light.Store(false)
	i.box.postSoon("heavy", on)
	i.want(t, "heavy")
	if len(on.f) != 1 {
		t.Error("a strand that is not light is on the connection's goroutine")
	}
}
