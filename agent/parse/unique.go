package parse

import (
	"bytes"
	"encoding/json"
	"strconv"

	"shiplog/agent/envelope"
)

// compact drops the members that have been taken out.
func (f *fields) compact() {
	all, kept := f.e.Params, 0
	for i := range all {
		if all[i].Key.Kind != envelope.None {
			if kept != i {
				all[kept] = all[i]
			}
			kept++
		}
	}
	clear(all[kept:])
	f.e.Params = all[:kept]
}

// placed reports whether the member at i has its key from us.
func (f *fields) placed(i int) bool {
	for p := atTimestamp; p <= atThread; p++ {
		if f.best[p].rank != 0 && int(f.best[p].index) == i {
			return true
		}
	}
	return false
}

// manyParams is up to how many members names are compared one by one.
const manyParams = 64

// unique sees to it that no name is in params twice: the later member, or the
// one that has not its name from us, gets "payload." before its name.
func (f *fields) unique() {
	all := f.e.Params
	if len(all) > manyParams {
		f.uniqueOfMany()
		return
	}
	var seen [4]uint64
	for i := range all {
		if all[i].Key.Kind == envelope.None {
			continue
		}
		name := f.nameOf(i)
		h := mix(name)
		word, bit := &seen[h>>6&3], uint64(1)<<(h&63)
		if j := i; *word&bit != 0 {
			if j = f.index(name); j < i && !f.rename(i, j) {
				f.uniqueOfMany()
				return
			}
		}
		*word |= bit
	}
}

// index returns the first member of a name.
func (f *fields) index(name []byte) int {
	for i := range f.e.Params {
		if f.e.Params[i].Key.Kind != envelope.None && bytes.Equal(name, f.nameOf(i)) {
			return i
		}
	}
	return len(f.e.Params)
}

// rename gives one of two members of the same name another. It fails if that
// is there too.
func (f *fields) rename(i, j int) bool {
	if f.placed(i) {
		i = j
	}
	all := f.e.Params
	name := append(append(f.e.Scratch(), "payload."...), f.nameOf(i)...)
	if f.index(name) < len(all) {
		return false
	}
	all[i].Key = envelope.Value{Kind: envelope.Text, Bytes: f.e.Keep(name)}
	return true
}

// uniqueOfMany is unique where a set costs less than comparing, or where the
// other name is there too: it is numbered then.
func (f *fields) uniqueOfMany() {
	all := f.e.Params
	names := make(map[string]int, len(all)) // how often each was met
	for i := range all {
		if all[i].Key.Kind != envelope.None {
			names[string(f.nameOf(i))] = 0
		}
	}
	for p := atTimestamp; p <= atThread; p++ {
		if f.best[p].rank != 0 {
			names[string(f.nameOf(int(f.best[p].index)))] = 1
		}
	}
	for i := range all {
		if all[i].Key.Kind == envelope.None || f.placed(i) {
			continue
		}
		name := string(f.nameOf(i))
		names[name]++
		if names[name] == 1 {
			continue
		}
		other := "payload." + name
		for _, there := names[other]; there; _, there = names[other] {
			names[name]++
			other = "payload." + name + "." + strconv.Itoa(names[name])
		}
		names[other] = 1
		all[i].Key = textValue(other)
	}
}

// nameOf returns a member's name.
func (f *fields) nameOf(i int) []byte {
	key := f.e.Params[i].Key
	if key.Kind == envelope.JSON && !f.escaped {
		return key.Bytes[1 : len(key.Bytes)-1]
	}
	return textOfKey(key)
}

// mix returns a number that differs for most names.
func mix(name []byte) uint {
	n := uint(len(name))
	if n == 0 {
		return 0
	}
	return n*31 + uint(name[0])*7 + uint(name[n/2])*13 + uint(name[n-1])*3
}

// textOfKey returns the name that a key stands for.
func textOfKey(key envelope.Value) []byte {
	if key.Kind != envelope.JSON {
		return key.Bytes
	}
	name := key.Bytes[1 : len(key.Bytes)-1]
	if bytes.IndexByte(name, '\\') < 0 {
		return name
	}
	var s string
	if err := json.Unmarshal(key.Bytes, &s); err != nil {
		return name // it is valid, so this is not reached
	}
	return []byte(s)
}
