package javaregexp

import (
	"slices"
	"strings"
	"unicode"
)

// perl is \d, \s or \w.
func (p *parser) perl(c rune) set {
	wide := p.has(unicodeClass)
	switch {
	case c == 'd' && wide:
		return table(unicode.Nd)
	case c == 'd':
		return spans('0', '9')
	case c == 's' && wide:
		return table(unicode.White_Space)
	case c == 's':
		return spans('\t', '\r', ' ', ' ')
	case wide:
		return unicodeWord()
	}
	return spans('0', '9', 'A', 'Z', '_', '_', 'a', 'z')
}

func verticalSpace() set { return spans('\n', '\r', 0x85, 0x85, 0x2028, 0x2029) }

func horizontalSpace() set {
	return singles(' ', '\t', 0xa0, 0x1680, 0x180e, 0x202f, 0x205f, 0x3000).union(spans(0x2000, 0x200a))
}

func alphabetic() set { return table(unicode.L, unicode.Nl, unicode.Other_Alphabetic) }

func unicodeWord() set {
	return alphabetic().union(table(unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control))
}

// unassigned is the general category Cn.
func unassigned() set {
	return table(unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z,
		unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs).negate()
}

func graphic() set {
	return table(unicode.White_Space, unicode.Cc, unicode.Cs).union(unassigned()).negate()
}

func blank() set { return table(unicode.Zs).union(singles('\t')) }

// property reads what follows \p: one letter, or a name in braces.
func (p *parser) property() set {
	if c := p.peek(); c != '{' {
		p.take()
		if c == eof {
			p.fail(`\p without a property`)
		}
		return p.worked(p.found(category(string(plain(c)))))
	}
	s := p.worked(p.namedProperty())
	if p.has(caseless) {
		p.work -= casedRunes
		return anyCase(s)
	}
	return s
}

// anyCase is what (?i) makes of a property (since Java 15): those that tell cases
// apart no longer do.
func anyCase(s set) set {
	ascii, cased := spans('A', 'Z', 'a', 'z'), table(unicode.Lu, unicode.Ll, unicode.Lt)
	wide := cased.union(table(unicode.Other_Lowercase, unicode.Other_Uppercase))
	for _, group := range []struct{ tells, all set }{
		{spans('a', 'z'), ascii},
		{spans('A', 'Z'), ascii},
		{table(unicode.Ll), cased},
		{table(unicode.Lu), cased},
		{table(unicode.Lt), cased},
		{table(unicode.Ll, unicode.Other_Lowercase), wide},
		{table(unicode.Lu, unicode.Other_Uppercase), wide},
	} {
		if slices.Equal(s, group.tells) {
			return group.all
		}
	}
	return s
}

// namedProperty reads a name in braces.
func (p *parser) namedProperty() set {
	p.take()
	from := p.pos
	for p.at(0) != '}' {
		if p.take() == eof {
			p.fail("a property without a closing brace")
			return nil
		}
	}
	name := string(p.src[from:p.pos])
	p.take()
	if key, value, ok := strings.Cut(name, "="); ok {
		switch strings.ToLower(key) {
		case "sc", "script":
			return p.script(value)
		case "gc", "general_category":
			return p.found(anyCategory(value))
		case "blk", "block":
			p.refuse(`the Unicode block \p{` + name + `}`)
			return nil
		}
		return p.found(nil, false)
	}
	if block, ok := strings.CutPrefix(name, "In"); ok && block != "" {
		p.refuse(`the Unicode block \p{` + name + `}`)
		return nil
	}
	if is, ok := strings.CutPrefix(name, "Is"); ok {
		if s, ok := binaryProperty(strings.ToUpper(is)); ok {
			return s
		}
		if s, ok := anyCategory(is); ok {
			return s
		}
		return p.script(is)
	}
	if p.has(unicodeClass) {
		if s, ok := unicodePosix(strings.ToUpper(name)); ok {
			return s
		}
	}
	if name == "javaMirrored" {
		p.refuse(`\p{javaMirrored}`)
		return nil
	}
	return p.found(anyCategory(name))
}

func (p *parser) found(s set, ok bool) set {
	if !ok {
		p.fail("a property that Java does not know")
	}
	return s
}

// script is that of a name in any case; Java knows codes of four letters too.
func (p *parser) script(name string) set {
	for script, t := range unicode.Scripts {
		if strings.EqualFold(script, name) {
			return table(t)
		}
	}
	if len(name) == 4 || strings.EqualFold(name, "unknown") {
		p.refuse("the script code " + name)
		return nil
	}
	return p.found(nil, false)
}

// anyCategory is a name that needs no Is: a category, a class of POSIX or of Java.
func anyCategory(name string) (set, bool) {
	if s, ok := category(name); ok {
		return s, true
	}
	if s, ok := posix(name); ok {
		return s, true
	}
	return javaProperty(name)
}

// category is a general category, or one of the groups of them that Java names.
func category(name string) (set, bool) {
	switch name {
	case "Cn":
		return unassigned(), true
	case "C":
		return table(unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs).union(unassigned()), true
	case "LC":
		return table(unicode.Lu, unicode.Ll, unicode.Lt), true
	case "LD":
		return table(unicode.L, unicode.Nd), true
	case "L1":
		return spans(0, 0xff), true
	case "all":
		return everything(), true
	}
	if len(name) > 2 {
		return nil, false
	}
	t, ok := unicode.Categories[name]
	if !ok {
		return nil, false
	}
	return table(t), true
}

// posix is a class of ASCII.
func posix(name string) (set, bool) {
	switch name {
	case "ASCII":
		return spans(0, 0x7f), true
	case "Alnum":
		return spans('0', '9', 'A', 'Z', 'a', 'z'), true
	case "Alpha":
		return spans('A', 'Z', 'a', 'z'), true
	case "Blank":
		return singles(' ', '\t'), true
	case "Cntrl":
		return spans(0, 0x1f, 0x7f, 0x7f), true
	case "Digit":
		return spans('0', '9'), true
	case "Graph":
		return spans('!', '~'), true
	case "Lower":
		return spans('a', 'z'), true
	case "Print":
		return spans(' ', '~'), true
	case "Punct":
		return spans('!', '/', ':', '@', '[', '`', '{', '~'), true
	case "Space":
		return spans('\t', '\r', ' ', ' '), true
	case "Upper":
		return spans('A', 'Z'), true
	case "XDigit":
		return spans('0', '9', 'A', 'F', 'a', 'f'), true
	}
	return nil, false
}

// javaProperty is a predicate of java.lang.Character.
func javaProperty(name string) (set, bool) {
	ignorable := func() set { return table(unicode.Cf).union(spans(0, 8, 0xe, 0x1b, 0x7f, 0x9f)) }
	start := func() set { return table(unicode.L, unicode.Nl) }
	rest := func() set { return table(unicode.Nd, unicode.Mn, unicode.Mc, unicode.Pc).union(ignorable()) }
	switch name {
	case "javaLowerCase":
		return table(unicode.Ll, unicode.Other_Lowercase), true
	case "javaUpperCase":
		return table(unicode.Lu, unicode.Other_Uppercase), true
	case "javaAlphabetic":
		return alphabetic(), true
	case "javaIdeographic":
		return table(unicode.Ideographic), true
	case "javaTitleCase":
		return table(unicode.Lt), true
	case "javaDigit":
		return table(unicode.Nd), true
	case "javaDefined":
		return unassigned().negate(), true
	case "javaLetter":
		return table(unicode.L), true
	case "javaLetterOrDigit":
		return table(unicode.L, unicode.Nd), true
	case "javaJavaIdentifierStart":
		return start().union(table(unicode.Sc, unicode.Pc)), true
	case "javaJavaIdentifierPart":
		return start().union(table(unicode.Sc)).union(rest()), true
	case "javaUnicodeIdentifierStart":
		return start().union(table(unicode.Other_ID_Start)), true
	case "javaUnicodeIdentifierPart":
		return start().union(table(unicode.Other_ID_Start, unicode.Other_ID_Continue)).union(rest()), true
	case "javaIdentifierIgnorable":
		return ignorable(), true
	case "javaSpaceChar":
		return table(unicode.Z), true
	case "javaWhitespace":
		return table(unicode.Z).minus(singles(0xa0, 0x2007, 0x202f)).union(spans(9, 0xd, 0x1c, 0x1f)), true
	case "javaISOControl":
		return table(unicode.Cc), true
	}
	return nil, false
}

// unicodePosix is what a class of POSIX is under (?U); the name is in capitals.
func unicodePosix(name string) (set, bool) {
	switch name {
	case "ALPHA":
		return alphabetic(), true
	case "LOWER":
		return table(unicode.Ll, unicode.Other_Lowercase), true
	case "UPPER":
		return table(unicode.Lu, unicode.Other_Uppercase), true
	case "SPACE":
		return table(unicode.White_Space), true
	case "PUNCT":
		return table(unicode.P), true
	case "XDIGIT":
		return table(unicode.Nd).union(spans('A', 'F', 'a', 'f', 0xff21, 0xff26, 0xff41, 0xff46)), true
	case "ALNUM":
		return alphabetic().union(table(unicode.Nd)), true
	case "CNTRL":
		return table(unicode.Cc), true
	case "DIGIT":
		return table(unicode.Nd), true
	case "BLANK":
		return blank(), true
	case "GRAPH":
		return graphic(), true
	case "PRINT":
		return graphic().union(blank()).minus(table(unicode.Cc)), true
	}
	return nil, false
}

// binaryProperty is what follows Is; the name is in capitals.
func binaryProperty(name string) (set, bool) {
	switch name {
	case "ALPHABETIC":
		return alphabetic(), true
	case "LETTER":
		return table(unicode.L), true
	case "IDEOGRAPHIC":
		return table(unicode.Ideographic), true
	case "LOWERCASE":
		return unicodePosix("LOWER")
	case "UPPERCASE":
		return unicodePosix("UPPER")
	case "TITLECASE":
		return table(unicode.Lt), true
	case "WHITE_SPACE", "WHITESPACE":
		return table(unicode.White_Space), true
	case "CONTROL":
		return table(unicode.Cc), true
	case "PUNCTUATION":
		return table(unicode.P), true
	case "HEX_DIGIT", "HEXDIGIT":
		return unicodePosix("XDIGIT")
	case "ASSIGNED":
		return unassigned().negate(), true
	case "NONCHARACTER_CODE_POINT", "NONCHARACTERCODEPOINT":
		return table(unicode.Noncharacter_Code_Point), true
	case "DIGIT":
		return table(unicode.Nd), true
	case "ALNUM", "BLANK", "GRAPH", "PRINT":
		return unicodePosix(name)
	case "WORD":
		return unicodeWord(), true
	case "JOIN_CONTROL", "JOINCONTROL":
		return table(unicode.Join_Control), true
	}
	return nil, false
}
