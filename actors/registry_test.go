package actors

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// An actor system whose registry has been made smaller finds its own processes
// and those that come after, and lets go of those that end.
func TestShrunkRegistryFindsEverybody(t *testing.T) {
	s := actor.NewActorSystem()
	defer s.Shutdown()
	shrinkRegistry(s)
	if n := len(s.ProcessRegistry.LocalPIDs.LocalPIDs); n != registryBuckets {
		t.Errorf("%d buckets, want %d", n, registryBuckets)
	}
	for _, name := range []string{"deadletter", "eventstream"} {
		if _, ok := s.ProcessRegistry.GetLocal(name); !ok {
			t.Errorf("%s is not found", name)
		}
	}
	props := actor.PropsFromFunc(func(actor.Context) {})
	var pids []*actor.PID
	for range 1000 {
		pids = append(pids, s.Root.Spawn(props))
	}
	for _, pid := range pids {
		if _, ok := s.ProcessRegistry.Get(pid); !ok {
			t.Fatalf("%s is not found", pid.Id)
		}
		if err := s.Root.StopFuture(pid).Wait(); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.ProcessRegistry.GetLocal(pid.Id); ok {
			t.Fatalf("%s is found after its end", pid.Id)
		}
	}
}
