package javaregexp

// part is a piece of a replacement: some text, then a group unless it is negative.
type part struct {
	text  string
	group int
}

// replacement reads what stands for a match.
func (re *Regexp) replacement(text string) ([]part, error) {
	var parts []part
	var plain []rune
	in := []rune(text)
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case '\\':
			if i++; i == len(in) {
				return nil, &SyntaxError{i, "a backslash with nothing behind it"}
			}
			plain = append(plain, in[i])
		case '$':
			group, end, reason := re.reference(in, i+1)
			if reason != "" {
				return nil, &SyntaxError{i, reason}
			}
			parts = append(parts, part{string(plain), group})
			plain, i = plain[:0], end-1
		default:
			plain = append(plain, in[i])
		}
	}
	return append(parts, part{string(plain), -1}), nil
}

// reference reads the group after a dollar sign at in[i:], and where it ends: all
// digits that still make the number of a group, or a name in braces. The reason says
// what is wrong.
func (re *Regexp) reference(in []rune, i int) (group, end int, reason string) {
	if i < len(in) && in[i] == '{' {
		from := i + 1
		for i = from; i < len(in) && isNameRune(in[i], i > from); i++ {
		}
		group, ok := re.names[string(in[from:i])]
		if i == len(in) || in[i] != '}' || !ok {
			return 0, 0, "no group has that name"
		}
		return group, i + 1, ""
	}
	if i == len(in) || !isDigit(in[i]) {
		return 0, 0, "a dollar sign without a group"
	}
	group = int(in[i] - '0')
	for i++; i < len(in) && isDigit(in[i]) && group*10+int(in[i]-'0') <= re.groups; i++ {
		group = group*10 + int(in[i]-'0')
	}
	if group > re.groups {
		return 0, 0, "there is no group of that number"
	}
	return group, i, ""
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func isLetter(r rune) bool { return r|0x20 >= 'a' && r|0x20 <= 'z' }

// isNameRune tells what names of groups are made of.
func isNameRune(r rune, inside bool) bool { return isLetter(r) || inside && isDigit(r) }
