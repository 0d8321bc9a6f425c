package iotsql

// node is an expression, ready to be evaluated.
type node interface {
	// eval never fails: what goes wrong is Undefined, or set in the state.
	eval(*state) value
	// offset is where the expression begins, in bytes of the statement.
	offset() int
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

// at is the place of a node in its statement. Nodes bind as operands do, unless
// they say otherwise.
type at int

func (a at) offset() int { return int(a) }
func (at) level() level  { return levelPrimary }

type (
	// literal is a constant; source is how it prints.
	literal struct {
		at
		val    value
		source string
	}
	// field is a name: of a row of a nested SELECT, or of the payload.
	field struct {
		at
		name   string
		root   int  // its place in program.roots
		nested bool // whether it stands inside a nested SELECT
	}
	// wholeRow is *: the payload, or the current element of a nested SELECT.
	wholeRow struct {
		at
		nested bool
	}
	// reference is @name.
	reference struct {
		at
		name string
		slot int // in program.lets
	}
	// path is base.name.
	path struct {
		at
		base node
		name string
	}
	// index is base[i].
	index struct {
		at
		base, i node
	}
	// call is name(args).
	call struct {
		at
		name string // as it is written, which is also the key of its result
		fn   function
		args []node
	}
	// cast is cast(x AS type).
	cast struct {
		at
		x        node
		typeName string
		to       castType
	}
	// negation is -x, and not is NOT x.
	negation struct {
		at
		x node
	}
	not struct {
		at
		x node
	}
	// binary is any operator of two operands and a symbol or word.
	binary struct {
		at
		op          operator
		left, right node
	}
	// in is x IN list; list is an expression, or values in parentheses.
	in struct {
		at
		x       node
		list    node   // nil when values are listed
		values  []node // in parentheses
		negated bool
	}
	// like is x LIKE pattern.
	like struct {
		at
		x, pattern node
		negated    bool
	}
	// between is x BETWEEN low AND high.
	between struct {
		at
		x, low, high node
		negated      bool
	}
	// isNull is x IS NULL.
	isNull struct {
		at
		x       node
		negated bool
	}
	// exists is EXISTS (SELECT …).
	exists struct {
		at
		rows *subquery
	}
	// choice is CASE x WHEN … END.
	choice struct {
		at
		x     node
		whens []when
		other node // nil without ELSE
	}
	// arrayLiteral is [a, b], and objectLiteral {'k': v}.
	arrayLiteral struct {
		at
		elems []node
	}
	objectLiteral struct {
		at
		keys  []string
		elems []node
	}
	// subquery is a nested SELECT.
	subquery struct {
		at
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

// item is one thing selected. The payload's members, when expr is a bare *, have
// no key.
type item struct {
	expr  node
	alias []string // as written after AS, nil without it
	key   []string // where the value goes; nil for a bare *
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
