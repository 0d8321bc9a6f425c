package javatime

import "strings"

// Pattern is a pattern of java.time's DateTimeFormatter, for reading. It is immutable
// and safe for concurrent use.
type Pattern struct{ root group }

// parser reads one piece of a text at a position. It returns where the piece ends, or
// a negative number when the text is something else.
type parser interface {
	parse(r *reading, text string, at int) int
}

// compiler reads a pattern. After an error it is at the end.
type compiler struct {
	in     []rune
	pos    int
	open   []*group // sections under way, the whole first
	number *number  // the first of adjacent numbers, which may take more digits
	padded bool     // whether it is padded
	width  int      // to pad the next piece to
	err    error
	// refused is the first construct that is not supported; reading goes on.
	refused error
}

// NewPattern reads a pattern. Errors are a [*SyntaxError] or an [*UnsupportedError].
func NewPattern(pattern string) (*Pattern, error) {
	p := &Pattern{}
	c := &compiler{in: []rune(pattern), open: []*group{&p.root}}
	for c.pos < len(c.in) {
		c.piece()
	}
	if c.width > 0 {
		c.fail("a padding of nothing")
	}
	if c.err == nil {
		c.err = c.refused
	}
	if c.err != nil {
		return nil, c.err
	}
	return p, nil
}

func (c *compiler) fail(reason string) {
	if c.err == nil {
		c.err = &SyntaxError{min(c.pos, len(c.in)), reason}
	}
	c.pos = len(c.in)
}

func (c *compiler) refuse(construct string) {
	if c.refused == nil {
		c.refused = &UnsupportedError{c.pos, construct}
	}
}

// piece reads a run of one letter, a bracket, or literal text.
func (c *compiler) piece() {
	switch r := c.in[c.pos]; {
	case isLetter(r):
		n := c.run()
		if r == 'p' {
			c.pad(n)
			return
		}
		c.letter(r, n)
		c.pos, c.width = c.pos+n, 0
	case r == '\'':
		c.quoted()
	case r == '[':
		if len(c.open) > maxSections {
			c.fail("too many sections in each other")
			return
		}
		c.pos++
		section := &group{optional: true}
		c.add(section)
		c.open = append(c.open, section)
	case r == ']':
		if len(c.open) == 1 {
			c.fail("a closing bracket without an opening one")
			return
		}
		c.pos++
		c.number = nil
		c.open = c.open[:len(c.open)-1]
	case strings.ContainsRune("{}#", r):
		c.fail("a reserved character")
	default:
		c.pos++
		c.add(literal(string(r)))
	}
}

// maxSections bounds optional sections inside each other.
const maxSections = 50

// run is how often the letter here is repeated.
func (c *compiler) run() int {
	n := 1
	for c.pos+n < len(c.in) && c.in[c.pos+n] == c.in[c.pos] {
		n++
	}
	return n
}

func (c *compiler) pad(n int) {
	c.pos += n
	if c.pos == len(c.in) || !isLetter(c.in[c.pos]) {
		c.fail("p needs a letter behind it")
		return
	}
	c.width, c.number = n, nil
}

// quoted reads literal text in quotes; two quotes are one.
func (c *compiler) quoted() {
	var text []rune
	for i := c.pos + 1; i < len(c.in); i++ {
		if c.in[i] != '\'' {
			text = append(text, c.in[i])
			continue
		}
		if i+1 < len(c.in) && c.in[i+1] == '\'' {
			text = append(text, '\'')
			i++
			continue
		}
		if c.pos = i + 1; len(text) == 0 {
			text = []rune{'\''}
		}
		c.add(literal(string(text)))
		return
	}
	c.fail("a quote that is not closed")
}

// add appends a piece that is no number.
func (c *compiler) add(p parser) {
	c.number = nil
	c.place(p)
}

func (c *compiler) place(p parser) {
	if c.width > 0 {
		p, c.width = &padding{p, c.width}, 0
	}
	g := c.open[len(c.open)-1]
	g.pieces = append(g.pieces, p)
}

// addNumber appends a number. Behind another one, without anything between them, it
// takes a fixed width, which the first leaves for it.
func (c *compiler) addNumber(n *number) {
	if c.number == nil {
		c.number, c.padded = n, c.width > 0
		c.place(n)
		return
	}
	if c.padded {
		c.fail("a number next to a padded one")
		return
	}
	if n.low == n.high && n.sign == unsigned {
		c.number.later += n.high
		n.later = -1
		c.place(n)
		return
	}
	c.number.later = -1
	c.number, c.padded = n, c.width > 0
	c.place(n)
}

// The letters, what they read, and how often they can be repeated.

func (c *compiler) letter(r rune, n int) {
	switch r {
	case 'u':
		c.year(fieldYear, n)
	case 'y':
		c.year(fieldYearOfEra, n)
	case 'G':
		c.text(fieldEra, n, n, eras(), longEras())
	case 'M', 'L':
		c.name(fieldMonth, n, shortMonths(), months())
	case 'Q', 'q':
		c.name(fieldQuarter, n, quarters(), longQuarters())
	case 'E':
		c.text(fieldWeekday, n, n, shortWeekdays(), weekdays())
	case 'a':
		if n > 1 {
			c.tooMany()
			return
		}
		c.text(fieldHalf, n, 1, halves(), nil)
	case 'd', 'H', 'h', 'K', 'k', 'm', 's':
		if n > 2 {
			c.tooMany()
		}
		c.fixed(clockField(r), n)
	case 'D':
		switch {
		case n > 3:
			c.tooMany()
		case n == 1:
			c.fixed(fieldYearDay, 1)
		default:
			c.addNumber(&number{field: fieldYearDay, low: n, high: 3, sign: unsigned})
		}
	case 'S':
		if n > 9 {
			c.tooMany()
		}
		c.addNumber(&number{field: fieldNano, low: n, high: n, sign: unsigned, fraction: true})
	case 'A', 'n', 'N':
		if n > 19 {
			c.tooMany()
		}
		c.addNumber(&number{field: clockField(r), low: n, high: 19, sign: unsigned})
	default:
		c.zoneLetter(r, n)
	}
}

func (c *compiler) zoneLetter(r rune, n int) {
	switch r {
	case 'V':
		if n != 2 {
			c.fail("V stands twice or not at all")
		}
		c.add(zoneID{})
	case 'z':
		if n > 4 {
			c.tooMany()
		}
		if n == 4 {
			c.refuse("zzzz (long names of zones)")
		}
		c.add(zoneID{names: true})
	case 'Z':
		switch {
		case n < 4:
			c.add(offset{minutes: must, zero: "+0000"})
		case n == 4:
			c.add(gmt{full: true})
		case n == 5:
			c.add(offset{colon: true, minutes: must, seconds: may, zero: "Z"})
		default:
			c.tooMany()
		}
	case 'O':
		if n != 1 && n != 4 {
			c.fail("O stands once or four times")
		}
		c.add(gmt{full: n == 4})
	case 'X', 'x':
		if n > 5 {
			c.tooMany()
			return
		}
		o := offset{colon: n == 3 || n == 5, minutes: must, zero: "Z"}
		if n == 1 {
			o.minutes = may
		}
		if n > 3 {
			o.seconds = may
		}
		if r == 'x' {
			o.zero = map[int]string{1: "+00", 2: "+0000", 3: "+00:00", 4: "+0000", 5: "+00:00"}[n]
		}
		c.add(o)
	case 'Y', 'w', 'W', 'e', 'c', 'F', 'g', 'v', 'B':
		c.refuse("the letter " + string(r) + otherLetter(r))
	default:
		c.fail("the letter " + string(r) + " has no meaning")
	}
}

// otherLetter says what most patterns mean that have one of the unsupported letters.
func otherLetter(r rune) string {
	if r == 'Y' {
		return " (the year of a week; the year is y)"
	}
	return ""
}

func (c *compiler) tooMany() { c.fail("too many letters " + string(c.in[c.pos])) }

// year reads any number of digits, or two as a year of this century.
func (c *compiler) year(f fieldKey, n int) {
	switch {
	case n > 19:
		c.tooMany()
	case n == 2:
		c.addNumber(&number{field: f, low: 2, high: 2, sign: unsigned, base: 2000})
	case n < 4:
		c.addNumber(&number{field: f, low: n, high: 19, sign: minusOnly})
	default:
		c.addNumber(&number{field: f, low: n, high: 19, sign: plusWhenLonger})
	}
}

// fixed reads a number of any length, or of two digits when the letter stands twice.
func (c *compiler) fixed(f fieldKey, n int) {
	if n == 1 {
		c.addNumber(&number{field: f, low: 1, high: 19, sign: minusOnly})
		return
	}
	c.addNumber(&number{field: f, low: n, high: n, sign: unsigned})
}

// name reads a number, or from three letters on a name.
func (c *compiler) name(f fieldKey, n int, short, long []string) {
	if n <= 2 {
		c.fixed(f, n)
		return
	}
	c.text(f, n, n, short, long)
}

// text reads one of the names; the number of letters tells which.
func (c *compiler) text(f fieldKey, n, style int, short, long []string) {
	switch {
	case n > 5:
		c.tooMany()
	case style == 5:
		c.refuse(strings.Repeat(string(c.in[c.pos]), 5) + " (names of one letter)")
	case style == 4:
		c.add(names{f, long})
	default:
		c.add(names{f, short})
	}
}
