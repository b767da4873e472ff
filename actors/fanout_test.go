package actors

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"rollcall/protocol"
)

// note is a message of the fan-out tests: its first letter is its kind.
//
//	f first of a target   t told to all   h hint   a answer to one target
type note string

func (n note) AppendJSON(b []byte) []byte { return append(b, n...) }

func (w *wire) notes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Fields(string(w.text))
}

func quietFanout() *fanout { return &fanout{enc: lines{}, stats: &Stats{}} }

// listener is what a target should have heard.
type listener struct {
	name string
	wire *wire
	target
	in      bool
	varied  bool // gets a variant of what is told
	release func()

	heard []string        // first, what was told while it was in, and its answers
	hints map[string]bool // those that it may have got
}

// check compares what the listener's connection got with what it should have.
func (l *listener) check(t *rapid.T) {
	heard, hinted := []string{}, map[string]bool{}
	for _, n := range l.wire.notes() {
		if n[0] != 'h' {
			heard = append(heard, n)
			continue
		}
		if hinted[n] || !l.hints[n] {
			t.Fatalf("%s: hint %s came twice, or is not for it", l.name, n)
		}
		if len(heard) == 0 {
			t.Fatalf("%s: hint %s came before the first frame", l.name, n)
		}
		hinted[n] = true
	}
	if got, want := fmt.Sprint(heard), fmt.Sprint(l.heard); got != want {
		t.Fatalf("%s got %s\nwant %s", l.name, got, want)
	}
}

// Every target gets its first frame, then exactly what is told between its join
// and its leave and its own answers between, in order; however the writer and the
// room interleave, whoever stalls, wherever batches end.
func TestFanoutGivesEachTargetExactlyItsPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(bubbled{t}, func(t *rapid.T) {
			f := quietFanout()
			f.small = rapid.SampledFrom([]int{1, 12, 60, batchBytes}).Draw(t, "batch")
			var all []*listener
			var debts []*visit
			number := 0
			next := func(kind string) note {
				number++
				return note(fmt.Sprintf("%s%d", kind, number))
			}
			some := func(in bool) *listener {
				var fit []*listener
				for _, l := range all {
					if l.in == in {
						fit = append(fit, l)
					}
				}
				if len(fit) == 0 {
					t.Skip("nobody")
				}
				return fit[rapid.IntRange(0, len(fit)-1).Draw(t, "who")]
			}
			t.Repeat(map[string]func(*rapid.T){
				"join": func(t *rapid.T) {
					first := next("f")
					l := &listener{
						name: string(first), wire: &wire{backlog: number%3 == 0}, in: true,
						heard: []string{string(first)}, hints: map[string]bool{},
					}
					l.conn = l.wire
					all = append(all, l)
					f.join(&l.target, first, nil)
				},
				"leave": func(t *rapid.T) {
					l := some(true)
					var event protocol.Message
					var last []protocol.Message
					if rapid.Bool().Draw(t, "told") {
						n := next("t")
						event = n
						for _, l := range all {
							if l.in {
								l.heard = append(l.heard, string(n))
							}
						}
					}
					for range rapid.IntRange(0, 2).Draw(t, "answers") {
						n := next("a")
						last = append(last, n, nil)
						l.heard = append(l.heard, string(n))
					}
					l.in = false
					f.leave(&l.target, event, last...)
				},
				"tell": func(t *rapid.T) {
					n := next("t")
					for _, l := range all {
						if l.in {
							l.heard = append(l.heard, string(n))
						}
					}
					f.tell(n)
				},
				"tell varied": func(t *rapid.T) {
					n := next("t")
					mine := rapid.SampledFrom([]note{"v" + n[1:], "vv" + n, "v"}).Draw(t, "variant")
					for _, l := range all {
						if l.varied = l.in && rapid.Bool().Draw(t, "varied"); l.varied {
							l.heard = append(l.heard, string(mine))
						} else if l.in {
							l.heard = append(l.heard, string(n))
						}
					}
					f.tellVaried(n, func(yield func(*target, protocol.Message) bool) {
						for _, l := range all {
							if l.varied && !yield(&l.target, mine) {
								return
							}
						}
					})
				},
				"hint": func(t *rapid.T) {
					n := next("h")
					if !f.hint(n) {
						return
					}
					for _, l := range all {
						l.hints[string(n)] = l.in && !l.wire.backlog
					}
				},
				"answer": func(t *rapid.T) {
					l, n := some(true), next("a")
					l.heard = append(l.heard, string(n))
					f.answer(&l.target, n)
				},
				"hold": func(t *rapid.T) {
					v := &visit{client: &Client{conn: &wire{}}}
					v.client.owe(v, 100)
					debts = append(debts, v)
					f.hold(&command{visit: v, cost: 100})
				},
				"stall": func(t *rapid.T) {
					if l := some(true); l.release == nil {
						l.release = l.wire.block()
					}
				},
				"go on": func(t *rapid.T) {
					for _, l := range all {
						if l.release != nil {
							l.release()
							l.release = nil
						}
					}
				},
				"wait": func(t *rapid.T) { synctest.Wait() },
			})
			for _, l := range all {
				if l.release != nil {
					l.release()
				}
			}
			synctest.Wait()
			for _, l := range all {
				l.check(t)
			}
			for _, v := range debts {
				if owed := v.client.flow.owed.Load(); owed != 0 {
					t.Fatalf("a held command still owes %d", owed)
				}
			}
			in := 0
			for _, l := range all {
				if l.in {
					in++
				}
			}
			if len(f.targets) != in || f.own != 0 || f.writing || f.filling != nil || len(f.full) != 0 {
				t.Fatalf("left behind: %d targets of %d, %d bytes, %v", len(f.targets), in, f.own, f.writing)
			}
		})
	})
}

// A batch that comes back from the pool has nothing of its last use in it.
func TestFanoutBatchesComeBackClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := quietFanout()
		a, b := &wire{}, &wire{}
		ta, tb := &target{conn: a}, &target{conn: b}
		f.join(ta, note("fa"), nil)
		synctest.Wait()
		release := a.block() // so that all of this makes one batch
		f.answer(ta, note("a0"))
		synctest.Wait()
		f.join(tb, note("fb"), nil)
		f.tell(note("t1"))
		f.hint(note("h1"))
		f.answer(ta, note("a1"))
		release()
		synctest.Wait()
		for i := range 5 { // shares of other targets, and fewer of them
			f.answer(tb, note(fmt.Sprint("b", i)))
			synctest.Wait()
		}
		f.leave(ta, nil)
		synctest.Wait()
		f.tell(note("t2"))
		synctest.Wait()
		if got := fmt.Sprint(a.notes()); got != "[fa a0 t1 a1 h1]" {
			t.Errorf("a got %s", got)
		}
		if got := fmt.Sprint(b.notes()); got != "[fb t1 h1 b0 b1 b2 b3 b4 t2]" {
			t.Errorf("b got %s", got)
		}
	})
}

// Variants of a long message cost what they differ in: thousands of members may
// have one of their own.
func TestFanoutKeepsOfVariantsWhatDiffers(t *testing.T) {
	f := crowd(100)
	long := *message
	long.Data = []byte(`"` + strings.Repeat("x", 60<<10) + `"`)
	others := long
	f.tellVaried(&long, func(yield func(*target, protocol.Message) bool) {
		for i, t := range f.targets[:50] {
			if others.Prev = uint64(1000 + i); !yield(t, &others) {
				return
			}
		}
	})
	if f.own > 50*150 {
		t.Errorf("%d bytes for 50 variants, want no more than their beginnings", f.own)
	}
	f.once()
	for i, t2 := range f.targets {
		want := len(lines{}.Append(nil, &long))
		if i < 50 {
			want = len(lines{}.Append(nil, &others))
		}
		if got := t2.conn.(*void).bytes - len("f\n"); got != want {
			t.Errorf("member %d got %d bytes, want %d", i, got, want)
		}
	}
}

// What is for single members alone costs nothing for the others.
func TestFanoutAnswersLookAtNobodyElse(t *testing.T) {
	f := crowd(10)
	gone, answered := f.targets[3], f.targets[7]
	f.leave(gone, nil, note("a"))
	f.answer(answered, note("b"))
	f.once()
	f.answer(gone, note("late"))
	f.answer(answered, note("c"))
	f.once()
	for _, t2 := range append(f.targets, gone) {
		want := len("f\n")
		switch t2 {
		case gone:
			want += len("a\n")
		case answered:
			want += len("b\nc\n")
		}
		if got := t2.conn.(*void).bytes; got != want {
			t.Errorf("%d bytes, want %d", got, want)
		}
	}
	if len(f.targets) != 9 || f.own != 0 {
		t.Errorf("%d targets, %d bytes wait", len(f.targets), f.own)
	}
}

// While the writer is stalled, all that comes makes one batch, and so one
// write per member; hints are dropped once a batch waits.
func TestFanoutCoalescesWhileTheWriterIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := quietFanout()
		a, b := &wire{}, &wire{}
		f.join(&target{conn: a}, note("fa"), nil)
		f.join(&target{conn: b}, note("fb"), nil)
		synctest.Wait()
		release := a.block()
		f.tell(note("t1"))
		synctest.Wait() // the writer stands in a
		before := b.writes
		for i := range 100 {
			f.tell(note(fmt.Sprint("t", i)))
		}
		release()
		synctest.Wait()
		if n := b.writes - before; n != 2 {
			t.Errorf("%d writes for 101 frames, want 2", n)
		}
	})
}

func TestFanoutDropsHintsWhileBatchesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := quietFanout()
		f.small = 1
		a := &wire{}
		f.join(&target{conn: a}, note("fa"), nil)
		synctest.Wait()
		release := a.block()
		f.tell(note("t1"))
		synctest.Wait()
		f.tell(note("t2"))
		f.tell(note("t3")) // t2 is full and waits
		if f.hint(note("h")) {
			t.Error("a hint was taken behind a batch that waits")
		}
		release()
		synctest.Wait()
	})
}

// An Encoding that panics must not leave the room deaf: the room is resumed.
func TestFanoutSurvivesAnEncodingThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := quietFanout()
		a := &wire{}
		tg := &target{conn: a}
		f.join(tg, note("fa"), nil)
		for _, act := range []func(protocol.Message){
			f.tell, func(m protocol.Message) { f.hint(m) }, func(m protocol.Message) { f.answer(tg, m) },
			func(m protocol.Message) { f.join(&target{conn: a}, m, nil) },
		} {
			func() {
				defer func() { _ = recover() }()
				act(rotten{})
			}()
		}
		f.tell(note("t1"))
		synctest.Wait()
		if got := fmt.Sprint(a.notes()); got != "[fa t1]" {
			t.Errorf("got %s", got)
		}
	})
}

type rotten struct{}

func (rotten) AppendJSON([]byte) []byte { panic("rotten") }

// void is a Connection that takes all and keeps nothing.
type void struct{ writes, bytes int }

func (v *void) Write(b []byte, _ int) { v.writes++; v.bytes += len(b) }
func (*void) Close(uint16, string)    {}
func (*void) Pause()                  {}
func (*void) Soon(f func())           { go f() }
func (*void) Resume()                 {}

// crowd is a fanout of n members whose passes are made by the caller.
func crowd(n int) *fanout {
	f := quietFanout()
	f.writing = true // nobody starts a writer
	for range n {
		f.join(&target{conn: &void{}}, note("f"), nil)
	}
	f.once()
	return f
}

// once passes all that waits.
func (f *fanout) once() {
	f.write()
	f.writing = true
}

// message is an event about as long as what people write.
var message = &protocol.MessagePublished{
	Stamp: protocol.Stamp{Room: "lobby", Offset: 123456, At: 1790000000000}, Message: "m_abcdefgh12", Session: "s_6f0k2m3n4p5q6r7s",
	User: "kim", Name: "Kim", Data: []byte(`{"text":"it is about a hundred bytes that people write to each other on average, they say"}`),
}

func TestFanoutAllocatesNothingPerMember(t *testing.T) {
	f := crowd(1000)
	tell := func() {
		f.tell(message)
		f.once()
	}
	for range 10 {
		tell()
	}
	if n := testing.AllocsPerRun(200, tell); n > 5 { // a pool that the collector emptied costs a few
		t.Errorf("%v allocations for one event to 1,000 members, want none", n)
	}
}

func BenchmarkFanout(b *testing.B) {
	for _, members := range []int{1000, 10000} {
		for _, frames := range []int{1, 10} {
			b.Run(fmt.Sprintf("members=%d/frames=%d", members, frames), func(b *testing.B) {
				f := crowd(members)
				b.ReportAllocs()
				start := time.Now()
				for b.Loop() {
					for range frames {
						f.tell(message)
					}
					f.once()
				}
				n := float64(b.N) * float64(members)
				b.ReportMetric(float64(time.Since(start).Nanoseconds())/n, "ns/member")
			})
		}
	}
}
