package iotsql

import (
	"fmt"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldline-iot/fieldline/internal/iot"
)

// collectionFunctions look into arrays and objects, and at types.
func collectionFunctions() []function {
	return []function{
		{name: "get", min: 2, max: 2, eval: get},
		{name: "get_or_default", min: 1, max: 2, rescues: true, eval: getOrDefault},
		{name: "isnull", min: 1, max: 1, eval: func(_ *state, args []value) value {
			return boolean(args[0].kind == kindNull)
		}},
		{name: "isundefined", min: 1, max: 1, newer: true, eval: func(_ *state, args []value) value {
			return boolean(args[0].isUndefined())
		}},
		{name: "transform", min: 3, max: 3, newer: true, eval: transform},
	}
}

// get is an array's element, a String's character or an object's member. An
// object's key must be a String; an index converts.
func get(st *state, args []value) value {
	from, key := args[0], args[1]
	if from.kind == kindObject {
		if key.kind != kindText {
			return value{}
		}
		return st.member(from, key.text)
	}
	n, ok := st.toInt(key, indexRounding(key))
	if !ok {
		return value{}
	}
	i := n.clamp(-1, maxIndex)
	if from.kind != kindText {
		return st.element(from, i)
	}
	if i < 0 || !st.spendBytes(len(from.text)) {
		return value{}
	}
	rest := from.text[runeOffset(from.text, i):]
	return textOr(rest[:runeOffset(rest, 1)], rest != "")
}

// indexRounding is that of spec 3: Decimals to the nearest Int, the number in a
// String towards zero.
func indexRounding(v value) apd.Rounder {
	if v.kind == kindText {
		return apd.RoundDown
	}
	return apd.RoundHalfUp
}

func getOrDefault(_ *state, args []value) value {
	if !args[0].isUndefined() && args[0].kind != kindNull {
		return args[0]
	}
	if len(args) == 1 {
		return value{}
	}
	return args[1]
}

// transform('enrichArray', object, array) adds the object's members to each object
// of the array. As on AWS, the result may have at most 128 KiB of JSON; a larger one
// fails the rule.
func transform(st *state, args []value) value {
	extra, ok := st.asObject(args[1])
	list := nestedRows(st, args[2])
	if args[0].kind != kindText || args[0].text != "enrichArray" || !ok || list.kind != kindArray {
		return value{}
	}
	rows := make([]value, 0, len(list.elems))
	for _, elem := range list.elems {
		elem = st.open(elem)
		if elem.kind != kindObject {
			rows = append(rows, elem)
			continue
		}
		for i, key := range extra.keys {
			if !st.spend(memberUnits * (1 + len(elem.keys))) {
				return value{}
			}
			elem = elem.with(key, extra.elems[i])
		}
		rows = append(rows, elem)
	}
	const limit = 128 << 10
	if len(st.appendJSON(nil, array(rows))) > limit {
		st.fail(fmt.Errorf("the result of transform() is larger than %d bytes: %w", limit, iot.ErrLimit))
	}
	return array(rows)
}

// nestedRows is an array, or the only array in an array of one: what a nested
// SELECT VALUE of an array, FROM an object, gives.
func nestedRows(st *state, v value) value {
	v = st.open(v)
	if len(v.elems) == 1 && v.elems[0].kind == kindArray {
		return st.open(v.elems[0])
	}
	return v
}
