package tables

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/iot"
)

const (
	// maxTransactionBytes bounds the items of one transaction.
	maxTransactionBytes = 4 << 20
	// tokenLife is how long a client request token is remembered.
	tokenLife = 10 * time.Minute
)

// TransactWriteItems makes several changes, all of them or none. Its error is a
// [*ddb.CanceledError] when a condition does not hold or a change is not possible,
// and wraps ddb.ErrTokenMismatch when its token was used for another request. With
// a token that was used for this one, nothing is done again.
func (e *Engine) TransactWriteItems(in *ddb.TransactWriteItemsInput) (ddb.TransactWriteItemsOutput, error) {
	var out ddb.TransactWriteItemsOutput
	if err := in.Check(); err != nil {
		return out, err
	}
	changes, err := newChanges(in.TransactItems)
	if err != nil {
		return out, err
	}
	var token []iot.Write
	if in.ClientRequestToken != "" {
		stripe := &e.tokens[crc32.ChecksumIEEE([]byte(in.ClientRequestToken))%stripeCount]
		stripe.Lock()
		defer stripe.Unlock()
		use, done, err := e.useToken(in)
		if err != nil || done {
			return out, err
		}
		token = append(token, use)
	}
	release, err := e.hold(changes...)
	if err != nil {
		return out, err
	}
	defer release()
	if err := e.decideAll(changes); err != nil {
		return out, err
	}
	used, err := e.commit(changes, token...)
	out.ConsumedCapacity = used.times(transactionFactor).reportWrites(in.ReturnConsumedCapacity)
	return out, err
}

func newChanges(items []ddb.TransactWriteItem) ([]*change, error) {
	changes := make([]*change, len(items))
	for i, t := range items {
		op, in := check, t.ConditionCheck
		switch {
		case t.Put != nil:
			op, in = put, t.Put
		case t.Update != nil:
			op, in = update, t.Update
		case t.Delete != nil:
			op, in = remove, t.Delete
		}
		c, err := newChange(op, in)
		if err != nil {
			return nil, err
		}
		c.keepOld = true // for a reason's Item
		changes[i] = c
	}
	return changes, nil
}

// decideAll decides every change, so that each has its reason when the
// transaction is cancelled.
func (e *Engine) decideAll(changes []*change) error {
	if repeats(changes) {
		return invalid("Transaction request cannot include multiple operations on one item")
	}
	reasons := make([]ddb.CancellationReason, len(changes))
	canceled, size := false, 0
	for i, c := range changes {
		err := c.decide(e.cfg.Records)
		size += max(c.size, storedSize(c.stored))
		reasons[i] = ddb.CancellationReason{Code: "None"}
		if failed, ok := errors.AsType[*ddb.ConditionFailedError](err); ok {
			reasons[i] = ddb.CancellationReason{Code: "ConditionalCheckFailed", Message: failed.Error(), Item: failed.Item}
		} else if errors.Is(err, iot.ErrInvalid) {
			reasons[i] = ddb.CancellationReason{Code: "ValidationError", Message: message(err)}
		} else if err != nil {
			return err
		}
		canceled = canceled || err != nil
	}
	if canceled {
		return &ddb.CanceledError{Reasons: reasons}
	}
	if size > maxTransactionBytes {
		return invalid("Collection size of the items in this transaction exceeds the limit of 4 MB")
	}
	return nil
}

// useToken looks a client request token up, whose stripe is held: done says that
// the request was performed already; else use remembers it.
func (e *Engine) useToken(in *ddb.TransactWriteItemsInput) (use iot.Write, done bool, err error) {
	text, err := json.Marshal(in.TransactItems)
	if err != nil {
		return use, false, fmt.Errorf("fingerprint of a transaction: %w", err)
	}
	sum := sha256.Sum256(text)
	use = iot.Write{Key: tokenKey(in.ClientRequestToken), Value: append(binary.BigEndian.AppendUint64(nil, uint64(e.cfg.Now().UnixMilli())), sum[:]...)}
	value, err := e.cfg.Records.Get(use.Key)
	switch {
	case errors.Is(err, iot.ErrNotFound):
		return use, false, nil
	case err != nil:
		return use, false, err
	case e.tokenExpired(value):
		return use, false, nil
	case !bytes.Equal(value[8:], sum[:]):
		return use, false, fmt.Errorf("client request token %s: %w", in.ClientRequestToken, ddb.ErrTokenMismatch)
	}
	return use, true, nil
}

// tokenExpired reports whether a use of a token is forgotten; a damaged one is.
func (e *Engine) tokenExpired(value []byte) bool {
	return len(value) != 8+sha256.Size ||
		e.cfg.Now().Sub(time.UnixMilli(int64(binary.BigEndian.Uint64(value)))) >= tokenLife
}

// TransactGetItems reads several items as they are at one moment.
func (e *Engine) TransactGetItems(in *ddb.TransactGetItemsInput) (ddb.TransactGetItemsOutput, error) {
	var out ddb.TransactGetItemsOutput
	if err := in.Check(); err != nil {
		return out, err
	}
	gets := make([]*get, len(in.TransactItems))
	rows := make([]rowOf, len(gets))
	tables := e.catalog()
	for i, t := range in.TransactItems {
		g, err := tables.newGet(t.Get)
		if err != nil {
			return out, err
		}
		gets[i], rows[i] = g, rowOf{g.table, g.row}
	}
	set := newStripeSet(rows)
	set.lock()
	defer set.unlock()
	used := usages{}
	total := 0
	for _, g := range gets {
		item, size, err := g.read(e.cfg.Records)
		if err != nil {
			return out, err
		}
		if total += size; total > maxTransactionBytes {
			return out, invalid("Collection size of the items in this transaction exceeds the limit of 4 MB")
		}
		used.of(g.table).own += readUnits(size, true)
		out.Responses = append(out.Responses, ddb.ItemResponse{Item: item})
	}
	out.ConsumedCapacity = used.times(transactionFactor).reportReads(in.ReturnConsumedCapacity)
	return out, nil
}

// message is the text of an error that wraps iot.ErrInvalid, without that.
func message(err error) string {
	return strings.TrimSuffix(err.Error(), ": "+iot.ErrInvalid.Error())
}
