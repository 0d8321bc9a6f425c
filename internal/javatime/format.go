package javatime

import (
	"strconv"
	"strings"
	"time"
)

// Layout is a pattern of Joda-Time's DateTimeFormat. It is immutable and safe for
// concurrent use.
type Layout struct{ fields []field }

// field is a run of one letter, or literal text when the letter is 0.
type field struct {
	letter rune
	count  int
	text   string
}

// NewLayout reads a pattern. Errors are a [*SyntaxError].
func NewLayout(pattern string) (*Layout, error) {
	in := []rune(pattern)
	if len(in) == 0 {
		return nil, &SyntaxError{0, "an empty pattern"}
	}
	l := &Layout{}
	for i := 0; i < len(in); {
		from := i
		if !isLetter(in[i]) {
			var text string
			text, i = jodaText(in, i)
			l.fields = append(l.fields, field{text: text})
			continue
		}
		for i < len(in) && in[i] == in[from] {
			i++
		}
		if !strings.ContainsRune("GCYxweEyDMdaKhHkmsSzZ", in[from]) {
			return nil, &SyntaxError{from, "the letter " + string(in[from]) + " has no meaning"}
		}
		l.fields = append(l.fields, field{letter: in[from], count: i - from})
	}
	return l, nil
}

// jodaText reads literal text from in[i:], and where it ends: at a letter that is not
// in quotes. Two quotes are one, and the last pair of quotes need not be closed.
func jodaText(in []rune, i int) (string, int) {
	var text []rune
	quoted := false
	for ; i < len(in) && (quoted || !isLetter(in[i])); i++ {
		switch {
		case in[i] != '\'':
			text = append(text, in[i])
		case i+1 < len(in) && in[i+1] == '\'':
			text = append(text, '\'')
			i++
		default:
			quoted = !quoted
		}
	}
	return string(text), i
}

func isLetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }

// Format writes t, in its own location.
func (l *Layout) Format(t time.Time) string {
	var dst []byte
	for _, f := range l.fields {
		dst = f.append(dst, t)
	}
	return string(dst)
}

func (f field) append(dst []byte, t time.Time) []byte {
	year, week := t.ISOWeek()
	switch f.letter {
	case 'x':
		return appendYear(dst, year, f.count)
	case 'w':
		return appendNumber(dst, week, f.count)
	case 'y':
		return appendYear(dst, t.Year(), f.count)
	case 'Y':
		if f.count != 2 && t.Year() <= 0 {
			return appendNumber(dst, 1-t.Year(), f.count)
		}
		return appendYear(dst, t.Year(), f.count)
	case 'C':
		return appendNumber(dst, magnitude(t.Year())/100, f.count)
	case 'G':
		return append(dst, eras()[era(t.Year())]...)
	case 'M':
		return appendName(dst, t.Month().String(), int(t.Month()), f.count)
	case 'E':
		return appendName(dst, t.Weekday().String(), 0, max(f.count, 3))
	case 'e':
		return appendNumber(dst, (int(t.Weekday())+6)%7+1, f.count)
	case 'D':
		return appendNumber(dst, t.YearDay(), f.count)
	case 'd':
		return appendNumber(dst, t.Day(), f.count)
	}
	return f.appendTime(dst, t)
}

// appendTime writes what is of the day or the zone.
func (f field) appendTime(dst []byte, t time.Time) []byte {
	switch f.letter {
	case 'a':
		return append(dst, halves()[t.Hour()/12]...)
	case 'K':
		return appendNumber(dst, t.Hour()%12, f.count)
	case 'h':
		return appendNumber(dst, (t.Hour()+11)%12+1, f.count)
	case 'H':
		return appendNumber(dst, t.Hour(), f.count)
	case 'k':
		return appendNumber(dst, (t.Hour()+23)%24+1, f.count)
	case 'm':
		return appendNumber(dst, t.Minute(), f.count)
	case 's':
		return appendNumber(dst, t.Second(), f.count)
	case 'S':
		return appendFraction(dst, t.Nanosecond()/int(time.Millisecond), f.count)
	case 'z':
		return appendZone(dst, t, f.count >= 4)
	case 'Z':
		if f.count >= 3 {
			return append(dst, t.Location().String()...)
		}
		_, offset := t.Zone()
		return appendOffset(dst, offset, f.count == 2, false)
	}
	return append(dst, f.text...)
}

func magnitude(n int) int { return max(n, -n) }

// era is 0 before year 1, and 1 from then on.
func era(year int) int {
	if year <= 0 {
		return 0
	}
	return 1
}

// appendNumber pads with zeros to the width; the sign stands before them.
func appendNumber(dst []byte, n, width int) []byte {
	if n < 0 {
		dst = append(dst, '-')
	}
	digits := strconv.Itoa(magnitude(n))
	for range width - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...)
}

// appendYear writes a year; two letters are its last two digits.
func appendYear(dst []byte, year, count int) []byte {
	if count == 2 {
		return appendNumber(dst, magnitude(year)%100, 2)
	}
	return appendNumber(dst, year, count)
}

// appendName writes a number, or from three letters on a name.
func appendName(dst []byte, name string, n, count int) []byte {
	switch {
	case count >= 4:
		return append(dst, name...)
	case count == 3:
		return append(dst, name[:3]...)
	}
	return appendNumber(dst, n, count)
}

// appendFraction writes the first digits of a second, which is cut off, not rounded.
func appendFraction(dst []byte, ms, count int) []byte {
	digits := appendNumber(nil, ms, 3)
	dst = append(dst, digits[:min(count, 3)]...)
	for range count - 3 {
		dst = append(dst, '0')
	}
	return dst
}

// appendOffset writes +HHMM or +HH:MM, and seconds too when exact and there are any.
func appendOffset(dst []byte, seconds int, colon, exact bool) []byte {
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	dst = appendNumber(append(dst, sign), seconds/3600, 2)
	if colon {
		dst = append(dst, ':')
	}
	dst = appendNumber(dst, seconds/60%60, 2)
	if exact && seconds%60 != 0 {
		dst = appendNumber(append(dst, ':'), seconds%60, 2)
	}
	return dst
}
