package transport

import "net/http"

// Reserve lets in a connection that somebody else serves, such as one that is
// made of HTTP requests, of which r is the first: as Check does after it has
// looked at the handshake. It counts among Options.Connections, and Shutdown
// waits for it. Whoever got nil calls Release at the connection's end.
func (s *Server) Reserve(r *http.Request) *Refusal {
	if refusal := s.admit(r); refusal != nil {
		return refusal
	}
	if s.enter() != nil { // others were faster
		return refusal(RefusedFull, http.StatusServiceUnavailable, "the server has as many connections as it may have",
			"Retry-After", s.someTime())
	}
	return nil
}

// Release ends what Reserve began.
func (s *Server) Release() { s.leave() }
