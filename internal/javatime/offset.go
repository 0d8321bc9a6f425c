package javatime

import (
	"strings"
	"time"
)

// presence is whether a part of an offset can be left out.
type presence uint8

const (
	never presence = iota
	may
	must
)

// offset is +HH and perhaps more, or the text that means none.
type offset struct {
	colon            bool
	minutes, seconds presence
	zero             string
}

func (o offset) parse(r *reading, text string, at int) int {
	if strings.HasPrefix(text[at:], o.zero) {
		if !r.set(fieldOffset, 0) {
			return -1
		}
		return at + len(o.zero)
	}
	seconds, end := o.read(text, at)
	if end < 0 || !r.set(fieldOffset, int64(seconds)) {
		return -1
	}
	return end
}

// read is the offset in seconds, and where it ends; negative when there is none.
func (o offset) read(text string, at int) (seconds, end int) {
	if at == len(text) || text[at] != '+' && text[at] != '-' {
		return 0, -1
	}
	sign := text[at]
	hours, end := twoDigits(text, at+1, false)
	if end < 0 {
		return 0, -1
	}
	total := hours * 3600
	for _, part := range []struct {
		presence
		unit int
	}{{o.minutes, 60}, {o.seconds, 1}} {
		if part.presence == never {
			break
		}
		n, next := twoDigits(text, end, o.colon)
		if next < 0 {
			if part.presence == must {
				return 0, -1
			}
			break
		}
		if n > 59 {
			return 0, -1
		}
		total, end = total+n*part.unit, next
	}
	if total > 18*3600 {
		return 0, -1
	}
	if sign == '-' {
		total = -total
	}
	return total, end
}

// twoDigits reads a number of two digits, behind a colon if there is to be one.
func twoDigits(text string, at int, colon bool) (n, end int) {
	if colon {
		if at >= len(text) || text[at] != ':' {
			return 0, -1
		}
		at++
	}
	if at > len(text) || countDigits(text[at:], 2) < 2 {
		return 0, -1
	}
	return int(text[at]-'0')*10 + int(text[at+1]-'0'), at + 2
}

// gmt is GMT, perhaps with an offset: +8 or +8:30, or when full +08:00.
type gmt struct{ full bool }

func (g gmt) parse(r *reading, text string, at int) int {
	rest, ok := strings.CutPrefix(text[at:], "GMT")
	if !ok {
		return -1
	}
	at += len("GMT")
	seconds := 0
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		if seconds, at = g.read(text, at); at < 0 {
			return -1
		}
	}
	if !r.set(fieldOffset, int64(seconds)) {
		return -1
	}
	return at
}

func (g gmt) read(text string, at int) (seconds, end int) {
	if g.full {
		return offset{colon: true, minutes: must, seconds: may}.read(text, at)
	}
	sign, end := text[at], at+1
	digits := countDigits(text[end:], 2)
	if digits == 0 {
		return 0, -1
	}
	for _, d := range []byte(text[end : end+digits]) {
		seconds = seconds*10 + int(d-'0')*3600
	}
	end += digits
	for _, unit := range []int{60, 1} {
		n, next := twoDigits(text, end, true)
		if next < 0 {
			break
		}
		if n > 59 {
			return 0, -1
		}
		seconds, end = seconds+n*unit, next
	}
	if seconds > 18*3600 {
		return 0, -1
	}
	if sign == '-' {
		seconds = -seconds
	}
	return seconds, end
}

// zoneID is the id of a zone, an offset, or, when names are read too, a short name.
type zoneID struct{ names bool }

func (z zoneID) parse(r *reading, text string, at int) int {
	rest := text[at:]
	if rest == "" {
		return -1
	}
	isoOffset := offset{colon: true, minutes: must, seconds: may}
	if rest[0] == '+' || rest[0] == '-' {
		seconds, end := isoOffset.read(text, at)
		if end >= 0 {
			r.zone = fixed(seconds)
		}
		return end
	}
	for _, prefix := range []string{"UTC", "UT", "GMT"} {
		if !strings.HasPrefix(rest, prefix) {
			continue
		}
		at += len(prefix)
		r.zone = time.UTC
		if seconds, end := isoOffset.read(text, at); end >= 0 {
			r.zone = fixed(seconds)
			return end
		}
		return at
	}
	size := 0
	for size < min(len(rest), maxZone) && isZoneByte(rest[size]) {
		size++
	}
	for ; size > 0; size-- {
		loc, ok := z.named(rest[:size])
		if ok {
			r.zone = loc
			return at + size
		}
	}
	if rest[0] == 'Z' {
		r.zone = time.UTC
		return at + 1
	}
	return -1
}

// isZoneByte tells what ids of zones are made of.
func isZoneByte(b byte) bool {
	return isLetter(rune(b)) || b >= '0' && b <= '9' || strings.IndexByte("/_+-", b) >= 0
}

func (z zoneID) named(id string) (*time.Location, bool) {
	if z.names {
		if named, ok := abbreviated(id); ok {
			id = named
		}
	}
	switch id {
	case "EST", "MST", "HST", "ROC": // names of Java, but no ids
		return nil, false
	}
	if !strings.Contains(id, "/") && len(id) < 3 {
		return nil, false
	}
	loc, err := region(id)
	return loc, err == nil
}
