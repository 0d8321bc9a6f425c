package iotsql

import (
	"slices"
	"strings"
)

// Template is a parsed substitution template: text with ${expression} in it. It
// is immutable and safe for concurrent use.
type Template struct {
	*program
	parts []part
	needs needs
}

// part is literal text followed by an expression, nil after the last text.
type part struct {
	text string
	expr node
}

// ParseTemplate reads a substitution template. Its expressions see the original
// payload and the functions of SELECT, never SELECT's aliases. Errors are as
// those of [Parse], with offsets into text.
func ParseTemplate(text, version string) (*Template, error) {
	prog, err := newProgram(version)
	if err != nil {
		return nil, err
	}
	return parseTemplate(prog, text, false)
}

// Template reads a substitution template of the statement's version, whose
// expressions see the statement's SET variables too.
func (s *Statement) Template(text string) (*Template, error) {
	return parseTemplate(s.shared(), text, false)
}

// ErrorTemplate is Template for an error action, in which nothing may call out of
// the process: such functions, and variables whose values need them, are refused.
func (s *Statement) ErrorTemplate(text string) (*Template, error) {
	return parseTemplate(s.shared(), text, true)
}

// shared is a program that knows the statement's variables.
func (s *Statement) shared() *program {
	return &program{
		version: s.version,
		old:     s.old,
		roots:   slices.Clone(s.roots), // the variables' expressions know their places
		lets:    s.lets,
	}
}

func parseTemplate(prog *program, text string, noCalls bool) (*Template, error) {
	t := &Template{program: prog}
	p := newParser(prog, text, len(text))
	p.noCalls = noCalls
	if err := p.result(); err != nil {
		return nil, err
	}
	from := 0
	for {
		i := strings.Index(text[from:], "${")
		if i < 0 {
			t.parts = append(t.parts, part{text: text[from:]})
			t.needs = p.needs
			return t, nil
		}
		p.move(from + i + len("${"))
		expr := p.argument()
		if !p.tok.is("}") {
			p.want(`"}"`)
		}
		if err := p.result(); err != nil {
			return nil, err
		}
		t.parts = append(t.parts, part{text: text[from : from+i], expr: expr})
		from = p.tok.next
	}
}

// Expand returns the text with every expression replaced by its value as a
// string; Undefined and Null are the empty string. Errors are as those of
// [Statement.Eval].
func (t *Template) Expand(env *Env) (string, error) {
	if len(t.parts) == 1 {
		return t.parts[0].text, nil
	}
	st := t.start(env)
	defer st.finish()
	if !st.assign(t.needs.lets) {
		return "", st.err
	}
	out := st.out[:0]
	for _, part := range t.parts {
		out = append(out, part.text...)
		if part.expr != nil {
			if s, ok := st.toText(part.expr.eval(st)); ok && st.spendBytes(len(s)) {
				out = append(out, s...)
			}
		}
	}
	st.out = out
	if st.err != nil {
		return "", st.err
	}
	return string(out), nil
}
