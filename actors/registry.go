package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// registryBuckets is in how many buckets the actors are listed by name. Each has
// 32 locks and maps of its own. The library makes 1,024 of them, which take 3 MB
// before there is an actor, and up to 8 more while most of the maps hold none or
// one: 250 bytes for each of 10,000 actors, where a map that is well filled
// takes 50. 512 locks are plenty for the processors of one machine.
const registryBuckets = 16

// shrinkRegistry has a new actor system list its actors in fewer maps. It must
// not have any but its own yet.
func shrinkRegistry(s *actor.ActorSystem) {
	list := s.ProcessRegistry.LocalPIDs
	before := list.LocalPIDs
	list.LocalPIDs = slices.Clone(before[:registryBuckets])
	for _, bucket := range before {
		if bucket.IsEmpty() { // Items begins 32 goroutines
			continue
		}
		for name, process := range bucket.Items() {
			bucket.Remove(name)
			list.GetBucket(name).Set(name, process)
		}
	}
}
