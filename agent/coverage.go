package agent

import (
	"cmp"
	"slices"
)

// byteRange is [start,end) in bytes of a raw file.
type byteRange struct{ start, end int64 }

// coverage says how often each byte of a file came. It holds runs of bytes, not
// records: those that follow one another take no more room than one.
type coverage struct {
	runs []run // sorted, apart from one another or of different times
}

// run is [start,end), which came so many times; at least once.
type run struct {
	start, end int64
	times      uint32
}

// add counts [start,end) once more and returns how many of its bytes came for
// the first time.
func (c *coverage) add(start, end int64) (fresh int64) { return c.addTimes(start, end, 1) }

func (c *coverage) addTimes(start, end int64, times uint32) (fresh int64) {
	if end <= start || times == 0 {
		return 0
	}
	if n := len(c.runs); n == 0 || start >= c.runs[n-1].end { // nearly always
		c.push(run{start, end, times})
		return end - start
	}
	i, _ := slices.BinarySearchFunc(c.runs, start, func(r run, at int64) int {
		if r.end > at {
			return 1
		}
		return -1
	})
	j := i
	var put []run
	at := start
	for ; j < len(c.runs) && c.runs[j].start < end; j++ {
		r := c.runs[j]
		if r.start < start {
			put = append(put, run{r.start, start, r.times})
		}
		if at < r.start {
			put = append(put, run{at, r.start, times})
			fresh += r.start - at
		}
		put = append(put, run{max(start, r.start), min(end, r.end), r.times + times})
		if r.end > end {
			put = append(put, run{end, r.end, r.times})
		}
		at = min(end, r.end)
	}
	if at < end {
		put = append(put, run{at, end, times})
		fresh += end - at
	}
	c.replace(i, j, put)
	return fresh
}

// push adds r behind all others.
func (c *coverage) push(r run) {
	if n := len(c.runs); n > 0 && c.runs[n-1].end == r.start && c.runs[n-1].times == r.times {
		c.runs[n-1].end = r.end
		return
	}
	c.runs = append(c.runs, r)
}

// replace puts put in the place of the runs i to j, and joins what belongs
// together, its neighbours included.
func (c *coverage) replace(i, j int, put []run) {
	if i > 0 {
		i--
		put = slices.Insert(put, 0, c.runs[i])
	}
	if j < len(c.runs) {
		put = append(put, c.runs[j])
		j++
	}
	n := 0
	for _, r := range put[1:] {
		if put[n].end == r.start && put[n].times == r.times {
			put[n].end = r.end
			continue
		}
		n++
		put[n] = r
	}
	c.runs = slices.Replace(c.runs, i, j, put[:n+1]...)
}

// merge counts what other has, in one pass over both.
func (c *coverage) merge(other *coverage) {
	a, b := c.runs, other.runs
	if len(a) == 0 {
		c.runs = slices.Clone(b)
		return
	}
	var out coverage
	at := int64(0)
	for len(a) > 0 || len(b) > 0 {
		// The next run begins at the first offset from at on that either has, and
		// ends where either changes.
		start, end := int64(maxRange), int64(maxRange)
		for _, runs := range [][]run{a, b} {
			if len(runs) > 0 {
				start = min(start, max(at, runs[0].start))
			}
		}
		var times uint32
		for _, runs := range [][]run{a, b} {
			switch {
			case len(runs) == 0:
			case runs[0].start > start:
				end = min(end, runs[0].start)
			default:
				end = min(end, runs[0].end)
				times += runs[0].times
			}
		}
		out.push(run{start, end, times})
		at = end
		if len(a) > 0 && a[0].end <= at {
			a = a[1:]
		}
		if len(b) > 0 && b[0].end <= at {
			b = b[1:]
		}
	}
	c.runs = out.runs
}

// end returns the end of the last byte that came, 0 if none did.
func (c *coverage) end() int64 {
	if len(c.runs) == 0 {
		return 0
	}
	return c.runs[len(c.runs)-1].end
}

// within returns how many bytes of [start,end) came.
func (c *coverage) within(start, end int64) (n int64) {
	for _, r := range c.from(start) {
		if r.start >= end {
			break
		}
		n += min(end, r.end) - max(start, r.start)
	}
	return n
}

// missing returns the parts of [start,end) that never came.
func (c *coverage) missing(start, end int64) (out []byteRange) {
	for _, r := range c.from(start) {
		if r.start >= end {
			break
		}
		if start < r.start {
			out = append(out, byteRange{start, r.start})
		}
		start = r.end
	}
	if start < end {
		out = append(out, byteRange{start, end})
	}
	return out
}

// from returns the runs that end behind offset at.
func (c *coverage) from(at int64) []run {
	i, _ := slices.BinarySearchFunc(c.runs, at+1, func(r run, at int64) int { return cmp.Compare(r.end, at) })
	return c.runs[i:]
}

// repeated returns the runs that came more than once.
func (c *coverage) repeated() (out []run) {
	for _, r := range c.runs {
		if r.times > 1 {
			out = append(out, r)
		}
	}
	return out
}

// behind returns the parts that came of what lies at offset at and behind.
func (c *coverage) behind(at int64) (out []byteRange) {
	for _, r := range c.from(at) {
		out = append(out, byteRange{max(at, r.start), r.end})
	}
	return out
}
