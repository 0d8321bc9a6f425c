package server

import (
	"errors"
	"slices"
	"strings"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/store"
	"github.com/fieldline-iot/fieldline/internal/tables"
)

// The guide's tables.
const (
	readingsTable    = "IoTDeviceData"
	readingsKey      = "device_id"
	connectionsTable = "WebsocketConnections"
	connectionsKey   = "connectionId"
)

// buildTables builds DynamoDB's engine, with the guide's tables as live views while
// the built-in functions are in force.
func (s *Server) buildTables() (err error) {
	s.tables, err = tables.New(tables.Config{
		Records: s.store.Section("tables"),
		Account: s.cfg.Account,
		Views: map[string]tables.View{
			readingsTable:    readingsView(s.store, func() bool { return s.functions.Inline(function.ProcessIoTData) }),
			connectionsTable: connectionsView(s.store, func() bool { return s.functions.Exists(function.OnConnect) }),
		},
		Log: s.log,
	})
	return err
}

// ensureTables creates the guide's tables where they are not there yet.
func ensureTables(e *tables.Engine) error {
	for table, key := range map[string]string{readingsTable: readingsKey, connectionsTable: connectionsKey} {
		_, err := e.CreateTable(&ddb.CreateTableInput{TableDefinition: ddb.TableDefinition{
			TableName: table, BillingMode: ddb.BillingPerRequest,
			KeySchema:            []ddb.KeySchemaElement{{AttributeName: key, KeyType: "HASH"}},
			AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: key, AttributeType: "S"}},
		}})
		if err != nil && !errors.Is(err, iot.ErrExists) {
			return err
		}
	}
	return nil
}

// readingsView shows the latest reading of each device.
func readingsView(s *store.Store, active func() bool) tables.View {
	return tables.View{
		Key: readingsKey, Active: active,
		Get: func(id string) (ddb.Item, error) {
			r, err := s.Latest(id)
			if err != nil {
				return nil, err
			}
			return readingItem(&r)
		},
		Page: func(after string, limit int) ([]ddb.Item, error) {
			readings, err := s.LatestPage(after, limit)
			if err != nil {
				return nil, err
			}
			items := make([]ddb.Item, len(readings))
			for i := range readings {
				if items[i], err = readingItem(&readings[i]); err != nil {
					return nil, err
				}
			}
			return items, nil
		},
		Refusal: "it shows the latest readings that the built-in ProcessIoTData stores; create ProcessIoTData with your own code to write it, or use a table of another name",
	}
}

// readingItem is a reading as the guide's function stores it.
func readingItem(r *iot.Reading) (ddb.Item, error) {
	payload, err := ddb.FromJSON(r.Payload)
	if err != nil {
		return nil, err
	}
	ts, err := ddb.FromJSON([]byte(r.TS))
	if err != nil {
		return nil, err
	}
	return ddb.Item{readingsKey: ddb.String(r.DeviceID), "ts": ts, "payload": payload}, nil
}

// connectionsView shows the WebSocket clients that are connected.
func connectionsView(s *store.Store, active func() bool) tables.View {
	list := func() ([]ddb.Item, error) {
		all, err := s.Connections()
		items := make([]ddb.Item, len(all))
		for i, c := range all {
			items[i] = ddb.Item{connectionsKey: ddb.String(c.ID), "connectedAt": ddb.Int(c.ConnectedAt.UnixMilli())}
		}
		return items, err
	}
	find := func(items []ddb.Item, id string) (int, bool) {
		return slices.BinarySearchFunc(items, id, func(item ddb.Item, id string) int {
			return strings.Compare(item[connectionsKey].Text(), id)
		})
	}
	return tables.View{
		Key: connectionsKey, Active: active,
		Get: func(id string) (ddb.Item, error) {
			items, err := list()
			if err != nil {
				return nil, err
			}
			i, ok := find(items, id)
			if !ok {
				return nil, iot.ErrNotFound
			}
			return items[i], nil
		},
		Page: func(after string, limit int) ([]ddb.Item, error) {
			items, err := list()
			if err != nil {
				return nil, err
			}
			i, ok := find(items, after)
			if ok {
				i++
			}
			return items[i:min(i+limit, len(items))], nil
		},
		Refusal: "it shows the clients that the built-in OnConnect records; create OnConnect with your own code to write it, or use a table of another name",
	}
}

// dynamoDB is the engine as the control API sees it.
func dynamoDB(e *tables.Engine) awsapi.DynamoDB {
	return awsapi.DynamoDB{Tables: e, Settings: e, Items: e, Readers: e, Transactions: e}
}
