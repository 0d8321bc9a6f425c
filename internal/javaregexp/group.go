package javaregexp

// group reads what an opening parenthesis begins; nil when it only sets flags.
func (p *parser) group() *node {
	outer := p.flags
	n := &node{kind: kindGroup}
	if p.at(0) == '?' {
		p.pos++
		if n = p.special(); n == nil || p.err != nil {
			return n
		}
	} else {
		p.groups++
	}
	body := p.alternation()
	n.subs = append(n.subs, body)
	p.flags = outer
	if p.err == nil && !p.takeIf(')') {
		p.fail("a group without a closing parenthesis")
	}
	if n.kind == kindLook && (n.text == "(?<=" || n.text == "(?<!") {
		p.checkBehind(body)
	}
	return n
}

// checkBehind refuses what Java refuses to look behind for, and what would capture
// another part of the text here than there: Java tries the shortest text first, the
// engine reads backwards.
func (p *parser) checkBehind(body *node) {
	lo, hi := body.width()
	switch {
	case p.err != nil:
	case hi < 0:
		p.fail("a look-behind without an obvious maximum length")
	case lo != hi && body.directed():
		p.refuse("a capturing or atomic group in a look-behind of varying length")
	}
}

// special reads what follows (? up to the group's body; nil when there is none.
func (p *parser) special() *node {
	look := func(text string) *node { return &node{kind: kindLook, text: text} }
	switch c := p.take(); c {
	case ':':
		return &node{kind: kindSequence}
	case '=', '!':
		return look("(?" + string(c))
	case '>':
		return &node{kind: kindAtomic}
	case '<':
		c := p.take()
		if c == '=' || c == '!' {
			return look("(?<" + string(c))
		}
		p.pos--
		p.groups++
		name := p.name('>')
		if _, twice := p.names[name]; twice {
			p.fail("two groups of one name")
		}
		p.names[name] = p.groups
		return &node{kind: kindGroup}
	case eof:
		p.fail("an unknown kind of group")
		return nil
	}
	p.pos--
	return p.setFlags()
}

// name reads the name of a group and what closes it.
func (p *parser) name(closing rune) string {
	from := p.pos
	for isNameRune(p.at(0), p.pos > from) {
		p.pos++
	}
	name := string(p.src[from:p.pos])
	if name == "" || !p.takeIf(closing) {
		p.fail("a group's name that is not letters and digits")
	}
	return name
}

// setFlags reads on-off: or on-off) and changes the flags; nil for the second form,
// which holds to the end of the group that it is in.
func (p *parser) setFlags() *node {
	off := false
	for {
		f := flags(0)
		switch c := p.peek(); c {
		case 'i':
			f = caseless
		case 'd':
			f = unixLines
		case 'm':
			f = multiline
		case 's':
			f = dotAll
		case 'u':
			f = unicodeCase
		case 'x':
			f = comments
		case 'U':
			f = unicodeClass | unicodeCase
		case 'c':
			p.refuse("the flag c (canonical equivalence)")
		case '-':
			if off {
				p.fail("an unknown flag")
				return nil
			}
			off = true
		case ':', ')':
			p.take()
			if c == ')' {
				return nil
			}
			return &node{kind: kindSequence}
		default:
			p.fail("an unknown flag")
			return nil
		}
		p.take()
		if off {
			p.flags &^= f
		} else {
			p.flags |= f
		}
	}
}
