package app

// A process may open so many files, and each connection is one. WebSockets get
// nine tenths of them, unless the configuration says otherwise; what they leave
// is for connections that are not WebSockets yet, or never.

// mostConnections is how many WebSockets may be open. 0: no limit.
func mostConnections(configured int) int {
	if configured > 0 {
		return configured
	}
	return files() * 9 / 10
}

// files is how many files there are for connections; 0: nobody knows.
func files() int {
	const own = 64 // event loops, listener, log
	n := openFiles()
	return max(n-own, n/2)
}
