package api

import "time"

// Fleet are the machines that share accounts in etcd.
type Fleet struct {
	Instance string    `json:"instance"` // this machine's name
	Machines []Machine `json:"machines"` // this one among them, by name
	Problem  *Problem  `json:"problem,omitempty"`
}

// Machine is one machine of a fleet.
type Machine struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Gone    bool      `json:"gone,omitempty"` // it has not been heard of for a while
}
