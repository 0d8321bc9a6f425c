package iotsql

// node is an expression, ready to be evaluated.
type node interface {
	// eval never fails: what goes wrong is Undefined, or set in the state.
	eval(*state) value
	// place is where the expression stands in its text, without the parentheses
	// around it.
	place() span
	// level is how tightly the expression binds when it is printed.
	level() level
	print(*printer)
}

// level orders operators, the loosest first (spec 4).
type level uint8

const (
	levelOr level = iota
	levelAnd
	levelNot
	levelCompare
	levelAdd
	levelMultiply
	levelNegate
	levelPrimary
)

// span is a place in a statement or template, in bytes. Nodes bind as operands do,
// unless they say otherwise.
type span struct{ from, to int }

func (s span) place() span { return s }
func (span) level() level  { return levelPrimary }

type (
	// literal is a constant; source is how it prints.
	literal struct {
		span
		val    value
		source string
	}
	// field is a name: of a row of a nested SELECT, or of the payload.
	field struct {
		span
		name   string
		root   int  // its place in program.roots
		nested bool // whether it stands inside a nested SELECT
	}
	// wholeRow is *: the payload, or the current element of a nested SELECT.
	wholeRow struct {
		span
		nested bool
	}
	// reference is @name.
	reference struct {
		span
		name string
		slot int // in program.lets
	}
	// path is base.name.
	path struct {
		span
		base node
		name string
	}
	// index is base[i].
	index struct {
		span
		base, i node
	}
	// call is name(args).
	call struct {
		span
		name string // as it is written, which is also the key of its result
		fn   function
		args []node
	}
	// cast is cast(x AS type).
	cast struct {
		span
		x        node
		typeName string
		to       castType
	}
	// negation is -x, and not is NOT x.
	negation struct {
		span
		x node
	}
	not struct {
		span
		x node
	}
	// binary is any operator of two operands and a symbol or word.
	binary struct {
		span
		op          operator
		left, right node
	}
	// in is x IN list; list is an expression, or values in parentheses.
	in struct {
		span
		x       node
		list    node   // nil when values are listed
		values  []node // in parentheses
		negated bool
	}
	// like is x LIKE pattern.
	like struct {
		span
		x, pattern node
		negated    bool
	}
	// between is x BETWEEN low AND high.
	between struct {
		span
		x, low, high node
		negated      bool
	}
	// isNull is x IS NULL.
	isNull struct {
		span
		x       node
		negated bool
	}
	// exists is EXISTS (SELECT …).
	exists struct {
		span
		rows node
	}
	// choice is CASE x WHEN … END.
	choice struct {
		span
		x     node
		whens []when
		other node // nil without ELSE
	}
	// arrayLiteral is [a, b], and objectLiteral {'k': v}.
	arrayLiteral struct {
		span
		elems []node
	}
	objectLiteral struct {
		span
		keys  []string
		again map[string]bool // keys that are there more than once; nil without any
		elems []node
	}
	// subquery is a nested SELECT.
	subquery struct {
		span
		query
		source node
		alias  string
		size   int // nodes evaluated for one row, at most
	}
)

type when struct{ match, result node }

// query is what statements and nested SELECTs have in common.
type query struct {
	items []item
	value node // of SELECT VALUE; items is empty then
	where node // nil without WHERE
	// flat says that items can be written one after another: each has one key of
	// its own, and none is *.
	flat bool
	// enriched says that the first item is a bare *, and the others are flat.
	enriched bool
}

// item is one thing selected. The payload's members, when expr is a bare *, and
// those of expr.* have no key.
type item struct {
	expr  node
	alias []string // as written after AS, nil without it
	key   []string // where the value goes; nil for a bare * and for expr.*
}

func (it *item) star() bool {
	_, whole := it.expr.(*wholeRow)
	return whole && it.alias == nil
}

func (*negation) level() level { return levelNegate }
func (*not) level() level      { return levelNot }
func (*in) level() level       { return levelCompare }
func (*like) level() level     { return levelCompare }
func (*between) level() level  { return levelCompare }
func (*isNull) level() level   { return levelCompare }
func (b *binary) level() level { return b.op.level() }
