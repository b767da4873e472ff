package bench

// drivers are all servers that there are drivers for, in the order of the
// tables.
var drivers = []Driver{
	native{},
	stomp{},
	sockjs{},
	gorilla{},
	gobwas{},
	coder{},
	ws{},
	socketIO{},
	centrifugo{},
	floor{"each"},
	floor{"batch"},
	floor{"presence"},
}

// lookup finds a driver by its name.
func lookup(name string) (Driver, bool) {
	for _, d := range drivers {
		if d.Name() == name {
			return d, true
		}
	}
	return nil, false
}
