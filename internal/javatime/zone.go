package javatime

import (
	"fmt"
	"strings"
	"time"
)

// Zone finds a zone as Joda-Time's DateTimeZone.forID does: by its id in the tz
// database, in its own case, or as an offset such as +02:00, -5, +0530 or UTC+1.
func Zone(id string) (*time.Location, error) {
	switch id {
	case "UTC", "UT", "GMT", "Z":
		return time.UTC, nil
	}
	if loc, err := region(id); err == nil {
		return loc, nil
	}
	offset := id
	for _, prefix := range []string{"UTC", "GMT", "UT"} {
		if rest, ok := strings.CutPrefix(id, prefix); ok {
			offset = rest
			break
		}
	}
	if offset != "" && (offset[0] == '+' || offset[0] == '-') {
		seconds, ok := jodaOffset(offset)
		if !ok {
			return nil, fmt.Errorf("%q is no offset of a time zone", id)
		}
		if seconds == 0 {
			return time.UTC, nil
		}
		return fixed(seconds), nil
	}
	return nil, fmt.Errorf("%.40q is no time zone", id)
}

// fixed is a zone of one offset, named by it.
func fixed(seconds int) *time.Location {
	if seconds == 0 {
		return time.UTC
	}
	return time.FixedZone(string(appendOffset(nil, seconds, true, true)), seconds)
}

// region loads a zone of the tz database.
func region(id string) (*time.Location, error) {
	if len(id) > maxZone || id == "Local" || id == "Factory" || id == "" || id[0] < 'A' || id[0] > 'Z' {
		return nil, fmt.Errorf("%.40q is no time zone", id)
	}
	loc, err := time.LoadLocation(id)
	if err != nil {
		return nil, fmt.Errorf("%.40q is no time zone", id)
	}
	return loc, nil
}

// maxZone is longer than any id of the tz database, in bytes.
const maxZone = 48

// jodaOffset reads a sign, hours, and perhaps minutes, seconds and thousandths, with
// or without colons between them.
func jodaOffset(s string) (int, bool) {
	negative, s := s[0] == '-', s[1:]
	total := 0
	colons := false
	for i, unit := range []int{3600, 60, 1} {
		if i > 0 && s == "" {
			break
		}
		if i == 1 {
			colons = s[0] == ':'
		}
		if i > 0 && colons {
			if s[0] != ':' {
				return 0, false
			}
			s = s[1:]
		}
		if len(s) < 2 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
			return 0, false
		}
		n := int(s[0]-'0')*10 + int(s[1]-'0')
		if i == 0 && n > 23 || n > 59 {
			return 0, false
		}
		total, s = total+n*unit, s[2:]
	}
	if negative {
		total = -total
	}
	return total, s == ""
}

// appendZone writes the zone's name, or its offset when it has none in English.
func appendZone(dst []byte, t time.Time, long bool) []byte {
	short, offset := t.Zone()
	id := t.Location().String()
	full := ""
	switch {
	case strings.HasPrefix(id, "+") || strings.HasPrefix(id, "-"):
		short = ""
	case short == "" || !isLetter(rune(short[0])):
		short, full = civilName(id, t.IsDST())
	default:
		full = longName(short, id)
	}
	switch {
	case long && full != "":
		return append(dst, full...)
	case short != "" && short != "LMT" && !long:
		return append(dst, short...)
	}
	return appendOffset(dst, offset, true, true)
}
