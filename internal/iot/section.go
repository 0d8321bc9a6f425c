package iot

// Write is one change of a section of the store: a record that is set or
// deleted, or, with To, the deletion of every record in [Key, To).
type Write struct {
	Key    []byte
	Value  []byte
	Delete bool
	To     []byte // only with Delete
}

// KeyRange is the records with From ≤ key < To, in the order of their keys, or
// backwards with Desc. A nil bound is no bound.
type KeyRange struct {
	From, To []byte
	Desc     bool
}
