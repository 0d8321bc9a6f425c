package ddb

// Size is the size of i in bytes as DynamoDB counts it for its limit of 400 KB and
// for capacity (developer guide, "DynamoDB item sizes and formats"): names and
// strings by their UTF-8, numbers by half their digits.
func (i Item) Size() int {
	size := 0
	for name, v := range i {
		size += len(name) + v.size()
	}
	return size
}

func (v Value) size() int {
	switch v.kind {
	case KindString, KindBinary:
		return len(v.text)
	case KindNumber:
		return numberSize(v.text)
	case KindBool, KindNull:
		return 1
	case KindMap:
		return 3 + v.items.Size() + len(v.items)
	case KindList:
		size := 3 + len(v.elems)
		for _, e := range v.elems {
			size += e.size()
		}
		return size
	}
	size := 0
	for _, e := range v.elems {
		size += e.size()
	}
	return size
}

// numberSize is a byte for the exponent, one for each two significant digits and
// one for a minus.
func numberSize(canonical string) int {
	d := mustDecimal(canonical)
	size := 1 + (d.n+1)/2
	if d.negative {
		size++
	}
	return size
}
