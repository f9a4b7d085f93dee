//go:build race

package shipper

const raceEnabled = true
