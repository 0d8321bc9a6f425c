package javaregexp

// class reads a character class behind its opening bracket. Without closing it is the
// right side of &&, whose bracket belongs to the class around it.
//
// As in Java, ^ denies the whole class, with what && leaves of it.
func (p *parser) class(closing bool) set {
	defer func() { p.depth-- }()
	if !p.enter() {
		return nil
	}
	var all, last set
	denied, empty := false, true
	if closing && p.peek() == '^' {
		p.take()
		denied = true
	}
	for p.err == nil {
		switch c := p.peek(); {
		case c == eof:
			p.fail("a character class without a closing bracket")
			continue
		case c == '[':
			p.take()
			last = p.class(true)
			all, empty = p.add(all, last), false
			continue
		case c == '&' && p.at(1) == '&':
			p.pos += 2
			right, ok := p.intersected()
			if !ok {
				right = last
			}
			switch {
			case empty && !ok:
				p.fail("&& of nothing")
			case empty:
				all = right
			default:
				all = p.worked(all.normal()).intersect(right)
			}
			empty = false
			continue
		case c == ']' && !empty:
			if closing {
				p.take()
			}
			if all = all.normal(); denied {
				return all.negate()
			}
			return all
		}
		last = p.member()
		all, empty = p.add(all, last), false
	}
	return nil
}

// add puts more beside the spans of s, not in order yet.
func (p *parser) add(s, more set) set { return append(s, p.worked(more)...) }

// worked takes what it costs to go through s from the pattern's budget.
func (p *parser) worked(s set) set {
	if p.work -= 1 + len(s); p.work < 0 {
		p.stop(&UnsupportedError{p.pos, "a pattern with so many large classes"})
	}
	return s
}

// intersected reads the right side of &&; false when nothing is there.
func (p *parser) intersected() (set, bool) {
	var right set
	any := false
	for p.err == nil {
		switch c := p.peek(); {
		case c == ']', c == '&':
			return right.normal(), any
		case c == eof:
			p.fail("a character class without a closing bracket")
		case c == '[':
			p.take()
			right = p.add(right, p.class(true))
		default:
			right = p.add(right, p.class(false))
		}
		any = true
	}
	return nil, false
}

// member reads a character, a range, or an escape that stands for a set.
func (p *parser) member() set {
	lo, s, isSet := p.bound(true)
	if isSet || p.err != nil {
		return s
	}
	next := p.at(1)
	if p.peek() != '-' || next == '[' || next == ']' || next == eof {
		return caseOf(lo, p.flags)
	}
	p.take()
	hi, _, isSet := p.bound(false)
	if p.err == nil && (isSet || hi < lo) {
		p.fail("a range that ends before it begins")
	}
	if p.has(unicodeCase) {
		p.work -= casedRunes
	}
	return set{{lo, hi}}.ignoreCase(p.flags)
}

// bound reads one end of a range.
func (p *parser) bound(first bool) (rune, set, bool) {
	c := p.peek()
	if c == eof {
		p.fail("a character class without a closing bracket")
		return 0, nil, false
	}
	p.take()
	if c != '\\' {
		return plain(c), nil, false
	}
	c = p.take()
	return p.common(c, !first || p.at(0) == '-')
}
