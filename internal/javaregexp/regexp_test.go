package javaregexp

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// none is the wanted match where there is none.
const none = "\x00"

func TestFindString(t *testing.T) {
	for _, c := range []struct{ name, pattern, text, want string }{
		{"the first alternative wins", "a|ab", "ab", "a"},
		{"a star takes all", "(hi)*", "hihihello", "hihi"},
		{"a lazy star takes as little as it can", "a.*?c", "abcbc", "abc"},
		{"a possessive quantifier gives nothing back", "a*+a", "aaa", none},
		{"a possessive count gives nothing back", "a{1,3}+ab", "aaab", none},
		{"an atomic group gives nothing back", "(?>a|ab)c", "abc", none},
		{"a back-reference means the same text", `(\w)\1`, "hello", "ll"},
		{"a back-reference takes as many digits as there are groups", `(a)\11`, "aa1", "aa1"},
		{"a reference to no group never matches", `a\1`, "a", none},
		{"a named group is referred to by name", `(?<c>\w)\k<c>`, "hello", "ll"},
		{"named groups are numbered with the others", `(?<x>a)(b)\2`, "abb", "abb"},
		{"a look-ahead takes nothing", "a(?=b)", "acab", "a"},
		{"a negative look-behind", `(?<!\$)\b\d+`, "$10 20", "20"},
		{"a look-behind of several widths", `(?<=a|bc)d`, "bcd", "d"},
		{"a look-behind without a bound, since Java 13", `(?<=a+)b`, "aab", "b"},
		{"a dot stops at line terminators", ".+", "ab\u0085cd", "ab"},
		{"(?s) lets the dot match them", "(?s).+", "a\nb", "a\nb"},
		{"(?d) knows only the line feed", "(?d).+", "a\rb\nc", "a\rb"},
		{"$ is before the last terminator", "a$", "a\r\n", "a"},
		{"$ is not between CR and LF", "\r$", "\r\n", none},
		{"$ is not before the last but one", "a$", "a\n\n", none},
		{"^ is only the beginning", "^b", "a\nb", none},
		{"(?m)^ is behind each terminator", "(?m)^b", "a\u2028b", "b"},
		{"(?m)^ is not at the end", "(?m)^$", "a\n", none},
		{`\Z is before the last terminator`, `a\Z`, "a\n", "a"},
		{`\z is the end`, `a\z`, "a\n", none},
		{`\G begins where the last match ended`, `\Ga`, "ba", none},
		{`\R is CR LF together`, `a\R{1}b`, "a\r\nb", "a\r\nb"},
		{`\R gives the LF back`, `\R\n`, "\r\n", "\r\n"},
		{`\X is what is seen as one character`, `\X`, "e\u0301x", "e\u0301"},
		{`\d is of ASCII`, `\d`, "٣", none},
		{`(?U)\d is not`, `(?U)\d`, "٣", "٣"},
		{`\w is of ASCII`, `\w+`, "aé", "a"},
		{`(?U)\w is not`, `(?U)\w+`, "aé‿", "aé‿"},
		{`\s is of ASCII`, `\s`, "\u00a0", none},
		{`\h is not`, `\h`, "\u00a0", "\u00a0"},
		{`\v is a set`, `\v+`, "\u2028\n", "\u2028\n"},
		{`\b knows letters outside of ASCII`, `\bx`, "éx", none},
		{`\b does not part a letter from its accent`, `e\b`, "e\u0301", none},
		{`\B is where no boundary is`, `\Bb`, "b ab", "b"},
		{"(?i) is of ASCII", "(?i)É", "é", none},
		{"(?iu) is not", "(?iu)É", "é", "é"},
		{"(?i) in a range", "(?i)[x-z]+", "XyZ", "XyZ"},
		{"(?i) of a property, since Java 15", `(?i)\p{Lower}`, "A", "A"},
		{"(?iu) of the Kelvin sign", "(?iu)k", "\u212a", "\u212a"},
		{"flags of a group end with it", "(?i:a)b", "AB", none},
		{"flags hold to the end of their group", "(a(?i)b)c", "aBC", none},
		{"flags are taken back", "(?i)a(?-i)b", "AB", none},
		{"(?x) skips blanks and comments", "(?x) a # not this\n b", "ab", "ab"},
		{"(?x) skips blanks in classes", "(?x)[a b]+", "a b", "a"},
		{"(?x) keeps an escaped blank", `(?x)a\ b`, "a b", "a b"},
		{"a union", "[a-c[x-z]]+", "axd", "ax"},
		{"an intersection", "[a-z&&[def]]+", "abde", "de"},
		{"a subtraction", "[a-z&&[^bc]]+", "bad", "ad"},
		{"^ denies the whole intersection", "[^a-z&&[^bc]]+", "dbc", "bc"},
		{"an intersection without brackets", "[a-z&&b-d]+", "abcz", "bc"},
		{"a class of a bracket", "[]a]+", "a]", "a]"},
		{"a class with a hyphen last", `[\w-]+`, "a-b c", "a-b"},
		{"quotes", `\Qa.b*\E+`, "a.b**", "a.b**"},
		{"quotes in a class", `[\Q]^-\E]+`, "-^]", "-^]"},
		{"quotes to the end", `\Q(`, "(", "("},
		{"a lower-case letter of ASCII", `\p{Lower}+`, "éa", "a"},
		{"a lower-case letter of Java", `\p{javaLowerCase}+`, "éA", "é"},
		{"a category", `\p{Lu}\pL`, "éÉa", "Éa"},
		{"not a category", `\P{L}`, "a1", "1"},
		{"a script", `\p{IsLatin}+`, "жabж", "ab"},
		{"a script by its key", `\p{script=Cyrillic}`, "aж", "ж"},
		{"a category by its key", `\p{gc=Nd}`, "a٣", "٣"},
		{"a binary property", `\p{IsAlphabetic}+`, "1éж", "éж"},
		{"punctuation of ASCII", `\p{Punct}+`, "a$+", "$+"},
		{"(?U) punctuation", `(?U)\p{Punct}+`, "$!", "!"},
		{"unassigned", `\p{Cn}`, "a\u0378", "\u0378"},
		{"hexadecimal escapes", `\x41\x{1F600}\u0042`, "A😀B", "A😀B"},
		{"a surrogate pair", `\uD83D\uDE00`, "😀", "😀"},
		{"a dot is a code point", "^.$", "😀", "😀"},
		{"octal escapes stop at 377", `\0101\0400`, "A 0", "A 0"},
		{"a control character", `\cA`, "\x01", "\x01"},
		{"a repetition of nothing is allowed", "{2}a{2}{3}", "aaa", "aa"},
		{"closing brackets mean themselves", "]}", "]}", "]}"},
	} {
		re, err := Compile(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, ok, err := re.FindString(c.text)
		if !ok {
			got = none
		}
		matched, also := re.MatchString(c.text)
		if got != c.want || err != nil || matched != ok || also != nil {
			t.Errorf("%s: %s on %q found %q, %v; want %q (%t, %v)", c.name, c.pattern, c.text, got, err, c.want, matched, also)
		}
	}
}

func TestWhatIsNoRegularExpression(t *testing.T) {
	for _, pattern := range []string{
		"(", ")", "a)", "(?", "(?<", "[", "[a", "[]", "[^]", "[a&&", "[&&]", "*a", "a**", "a|*", "{", "a{", "a{,2}", "a{2,1}", "a{1", "a{99999999999}",
		"(?z)", "(?i", "(?P<n>a)", "(?<1>a)", "(?<n>a)(?<n>b)", `\k<n>(?<n>a)`, `\k`, `\y`, `\E`, `\`, `\u12`, `\x4`, `\x{}`, `\x{110000}`, `\0`, `\08`, `\c`,
		`\p`, `\p{`, `\p{}`, `\p{Foo}`, `\p{IsFoo}`, `\p{Is}`, `\p{gc=Foo}`, `\p{x=y}`, `[\b]`, `[\1]`, `[z-a]`, `[a-\d]`, `(?<=\1)(a)`, `\N`, `\N{DIGIT ONE`,
		`\p{InGreek}(`, `(?c)(`,
	} {
		_, err := Compile(pattern)
		if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestWhatIsRefusedByName(t *testing.T) {
	for pattern, name := range map[string]string{
		`a\b{g}`:                                `\b{g}`,
		`\N{DIGIT ONE}`:                         `\N{name of a character}`,
		strings.Repeat("a", 20000):              "a pattern of more than 16384 bytes",
		`\p{InGreek}`:                           `the Unicode block \p{InGreek}`,
		`\p{blk=Greek}`:                         `the Unicode block \p{blk=Greek}`,
		`\p{IsLatn}`:                            "the script code Latn",
		`\p{javaMirrored}`:                      `\p{javaMirrored}`,
		`(?c)a`:                                 "the flag c (canonical equivalence)",
		`(?<=(a|ab))c`:                          "a capturing or atomic group in a look-behind of varying length",
		`(?<=a++)c`:                             "a capturing or atomic group in a look-behind of varying length",
		strings.Repeat("(", 300):                "more than 200 levels of nesting",
		strings.Repeat("[", 300):                "more than 200 levels of nesting",
		strings.Repeat(`\p{L}`, 500):            "a pattern with so many large classes",
		strings.Repeat(`[\p{L}&&\w]`, 1400):     "a pattern with so many large classes",
		"(?iu)" + strings.Repeat("[a-z]", 3000): "a pattern with so many large classes",
	} {
		_, err := Compile(pattern)
		refused, ok := errors.AsType[*UnsupportedError](err)
		if ok != (name != "") || ok && refused.Construct != name {
			t.Errorf("%.40s: %v", pattern, err)
		}
	}
}

func limited(err error) bool {
	_, ok := errors.AsType[*LimitError](err)
	return ok
}

func TestReplaceAllString(t *testing.T) {
	const bad = "an error"
	for _, c := range []struct{ pattern, text, with, want string }{
		{"b(.*)d", "abcd", "$1", "ac"},
		{"a", "banana", "", "bnn"},
		{"x*", "ab", "-", "-a-b-"},
		{"a|b", "abc", "[$0]", "[a][b]c"},
		{`(?<k>\w)=(?<v>\w)`, "a=1 b=2", "${v}=${k}", "1=a 2=b"},
		{"(a)|(b)", "ab", "<$1$2>", "<a><b>"},
		{"(a)(b)?", "a", "$1$2!", "a!"},
		{"(a)", "a", "$10", "a0"},
		{"a", "a", `\$1\\\x`, `$1\x`},
		{"é", "aéa", "ж", "aжa"},
		{"😀", "a😀b", "$0$0", "a😀😀b"},
		{`\b`, "ab c", "|", "|ab| |c|"},
		{"(?m)^", "a\nb", "> ", "> a\n> b"},
		{`\Ga`, "aab", "x", "xxb"},
		{"a", "a", "$", bad},
		{"a", "a", "$1", bad},
		{"a", "a", "$x", bad},
		{"a", "a", "${n}", bad},
		{"(?<n>a)", "a", "${n", bad},
		{"a", "a", `\`, bad},
		{"a", "b", "$1", "b"}, // nothing matches, so nothing is read
	} {
		re, err := Compile(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		got, err := re.ReplaceAllString(c.text, c.with, 1000)
		if _, syntax := errors.AsType[*SyntaxError](err); syntax {
			got = bad
		} else if err != nil {
			t.Error(err)
		}
		if got != c.want {
			t.Errorf("%s in %q by %q: %q, want %q", c.pattern, c.text, c.with, got, c.want)
		}
	}
}

// The characters that a letter matches under (?iu) are found by a short way; here is
// the long one.
func TestCaseOfEveryLetter(t *testing.T) {
	alike := make(map[rune]set)
	for _, cased := range unicode.CaseRanges {
		for r := rune(cased.Lo); r <= rune(cased.Hi); r++ {
			alike[smallest(r)] = append(alike[smallest(r)], span{r, r})
		}
	}
	for small, all := range alike {
		for _, r := range all {
			want := append(slices.Clone(all), span{small, small}).normal()
			if got := caseOf(r.lo, caseless|unicodeCase); !slices.Equal(got, want) {
				t.Errorf("%q: %q, want %q", r.lo, got, want)
			}
		}
	}
}

func TestAReplacementIsBounded(t *testing.T) {
	re, err := Compile("a")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := re.ReplaceAllString("aaaa", "12", 8); got != "12121212" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := re.ReplaceAllString("aaaa", "12", 7); !limited(err) {
		t.Error(err)
	}
}

func TestAPatternMadeToRunForEverEnds(t *testing.T) {
	text := strings.Repeat("a", 200) + "!"
	for _, pattern := range []string{"(a|aa)+$", `(a*)*b\1`, "(.*?,){20}x|(a+)+$"} {
		re, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		re.WithLimit(time.Millisecond)
		if _, err := re.MatchString(text); !limited(err) {
			t.Errorf("%s: %v", pattern, err)
		}
		if _, _, err := re.FindString(text); !limited(err) {
			t.Errorf("%s: %v", pattern, err)
		}
		if _, err := re.ReplaceAllString(text, "", 1000); !limited(err) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// FuzzCompile checks that reading a pattern and matching with it always ends, without
// a panic, and only in the errors that are documented.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		"(a|b)*c", `[a-z&&[^bc]]`, `\Qa\E{2,3}+`, `(?<n>x)\k<n>(?=y)`, `(?iux) \p{L} # c`, `\x{1F600}\0101\cA`, "(?<=a{1,3})b", `[^\W\d[a]&&b]`, `(?m)^\b.\R$`,
	} {
		f.Add(seed, "abc\r\n")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		re, err := Compile(pattern)
		if err != nil {
			_, syntax := errors.AsType[*SyntaxError](err)
			_, refused := errors.AsType[*UnsupportedError](err)
			if !syntax && !refused {
				t.Errorf("%q: %v", pattern, err)
			}
			return
		}
		re.WithLimit(time.Millisecond)
		found, ok, err := re.FindString(text)
		if err != nil && !limited(err) {
			t.Errorf("%q on %q: %v", pattern, text, err)
		}
		if ok && !strings.Contains(text, found) {
			t.Errorf("%q on %q found %q", pattern, text, found)
		}
		if _, err := re.ReplaceAllString(text, text, 1<<16); err == nil || limited(err) {
			return
		} else if _, ok := errors.AsType[*SyntaxError](err); !ok {
			t.Errorf("%q in %q: %v", pattern, text, err)
		}
	})
}

// FuzzCommon checks that patterns of what Java and RE2 share match the same texts as
// with the standard library.
func FuzzCommon(f *testing.F) {
	pieces := []string{
		"a", "b", "c", "1", " ", ".", "[a-c]", "[^ab]", `\d`, `\w`, `\S`, "(", "(?:", "(?i:", ")", "|", "*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}",
		"^", "$", `\A`, `\z`, `\.`, `\x41`, `\Qa.\E`, "é", `\p{L}`, `\p{Lu}`,
	}
	f.Add([]byte{11, 0, 15, 1, 14, 16, 2}, "abab c")
	f.Fuzz(func(t *testing.T, program []byte, text string) {
		var pattern strings.Builder
		for _, b := range program[:min(len(program), 12)] {
			pattern.WriteString(pieces[int(b)%len(pieces)])
		}
		// $ and \z differ before a last line feed, and RE2 knows one terminator only.
		text = strings.ToValidUTF8(strings.NewReplacer("\n", "", "\r", "", "\u0085", "", "\u2028", "", "\u2029", "").Replace(text), "")
		std, stdErr := regexp.Compile(pattern.String())
		re, err := Compile(pattern.String())
		if err != nil || stdErr != nil {
			return // each has patterns of its own, such as a repetition of nothing
		}
		re.WithLimit(time.Millisecond)
		got, err := re.MatchString(text)
		if want := std.MatchString(text); err == nil && got != want && !strings.Contains(pattern.String(), "(?i:") {
			t.Errorf("%s on %q: %t, want %t", &pattern, text, got, want)
		}
	})
}
