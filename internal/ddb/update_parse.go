package ddb

import "strings"

// Update parses an UpdateExpression:
//
//	update   { SET assign { , assign } | REMOVE path { , path }
//	         | ADD path :value { , … } | DELETE path :value { , … } }
//	assign   path = sum
//	sum      term [ + term | - term ]
//	term     path | :value | function ( term { , term } ) | ( sum )
//
// Each section comes once at most.
func (s *Scope) Update(text string) (*Update, error) {
	p := updateParser{s.parser("UpdateExpression", text)}
	u := &Update{}
	seen := map[string]bool{}
	for p.peek().kind != tokenEnd {
		section := strings.ToUpper(p.peek().text)
		if seen[section] {
			p.refuse("The %q section can only be used once in an update expression;", section)
		}
		seen[section] = true
		p.section(u, section)
	}
	p.disjoint(u.paths())
	if err := p.done(); err != nil {
		return nil, err
	}
	return u, nil
}

type updateParser struct{ *parser }

// section reads one section, whose keyword comes next.
func (p updateParser) section(u *Update, keyword string) {
	if p.peek().kind != tokenWord {
		p.unexpected()
		return
	}
	switch keyword {
	case "SET":
		p.pos++
		p.list(func() { u.set = append(u.set, p.assignment()) })
	case "REMOVE":
		p.pos++
		p.list(func() { u.remove = append(u.remove, p.path()) })
	case "ADD":
		p.pos++
		p.list(func() { u.add = append(u.add, p.amendment(keyword)) })
	case "DELETE":
		p.pos++
		p.list(func() { u.delete = append(u.delete, p.amendment(keyword)) })
	default:
		p.unexpected()
	}
}

func (p updateParser) assignment() assignment {
	to := p.path()
	p.expect("=")
	return assignment{to, p.sum()}
}

func (p updateParser) amendment(section string) amendment {
	a := amendment{p.path(), p.literal()}
	if k := a.by.is.kind; k != 0 && !k.isSet() && (section == "DELETE" || k != KindNumber) {
		p.refuse("Incorrect operand type for operator or function; operator: %s, operand type: %s, typeSet: ALLOWED_FOR_%s_OPERAND",
			section, longName(k), section)
	}
	return a
}

// longName is the name that messages about ADD and DELETE have for a type.
func longName(k Kind) string {
	switch k {
	case KindString:
		return "STRING"
	case KindNumber:
		return "NUMBER"
	case KindBinary:
		return "BINARY"
	case KindBool:
		return "BOOLEAN"
	case KindMap:
		return "MAP"
	case KindList:
		return "LIST"
	}
	return k.String()
}

func (p updateParser) sum() term {
	left := p.term()
	minus := p.at("-")
	if !minus && !p.at("+") {
		return left
	}
	if _, nested := left.(arithmetic); nested {
		p.unexpected() // one operator at most
		return left
	}
	operator := p.advance().text
	p.operator()
	at := p.pos
	right := p.term()
	if _, nested := right.(arithmetic); nested && p.syntax == nil {
		p.pos = at
		p.unexpected()
	}
	p.checkTerms(operator, KindNumber, left, right)
	return arithmetic{minus, left, right}
}

// checkTerms refuses terms that are known to be of another kind.
func (p updateParser) checkTerms(operator string, want Kind, terms ...term) {
	for _, t := range terms {
		if k := t.kind(); k != 0 && k != want {
			p.refuse("Incorrect operand type for operator or function; operator or function: %s, operand type: %v", operator, k)
		}
	}
}

func (p updateParser) term() term {
	switch {
	case p.at("("):
		p.open()
		inner := p.sum()
		p.expect(")")
		return inner
	case p.atCall():
		return p.call()
	case p.peek().kind == tokenValue:
		return p.literal()
	}
	return p.path()
}

// call reads a function.
func (p updateParser) call() term {
	name := p.advance().text
	p.operator()
	var args []term
	p.expect("(")
	p.list(func() { args = append(args, p.argument()) })
	p.expect(")")
	_, conditional := arity(name)
	switch {
	case conditional:
		p.refuse("The function is not allowed in an update expression; function: %s", name)
	case name != "if_not_exists" && name != "list_append":
		p.refuse("Invalid function name; function: %s", name)
	case len(args) != 2:
		p.refuse("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, len(args))
	case name == "list_append":
		p.checkTerms(name, KindList, args...)
		return listAppend{args[0], args[1]}
	default:
		of, ok := args[0].(path)
		if !ok {
			p.refuse("Operator or function requires a document path; operator or function: %s", name)
		}
		return ifNotExists{of, args[1]}
	}
	return path{}
}

// argument reads a term that is not arithmetic, nor a list_append in another function.
func (p updateParser) argument() term {
	at := p.pos
	t := p.term()
	switch t.(type) {
	case arithmetic:
		if p.syntax == nil {
			p.pos = at
			p.unexpected()
		}
	case listAppend:
		p.refuse("The function is not allowed to be used this way in an expression; function: list_append")
	}
	return t
}
