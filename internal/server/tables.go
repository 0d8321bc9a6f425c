package server

import (
	"errors"
	"fmt"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/ddb"
	"github.com/fieldline-iot/fieldline/internal/function"
	"github.com/fieldline-iot/fieldline/internal/iot"
	"github.com/fieldline-iot/fieldline/internal/tables"
)

// The guide's tables.
const (
	dataTable        = "IoTDeviceData"
	connectionsTable = "WebsocketConnections"
)

// buildTables builds the engine behind DynamoDB. The guide's two tables show what
// the built-in functions keep, for as long as those are in force.
func (s *Server) buildTables() (err error) {
	s.tables, err = tables.New(tables.Config{
		Records: s.store.Section("tables"), Account: s.cfg.Account, Log: s.log,
		Views: map[string]tables.View{
			dataTable: {
				Key: "device_id", Get: s.latestItem, Page: s.latestItems,
				Active:  func() bool { return s.functions.BuiltIn(function.ProcessIoTData) },
				Refusal: viewRefusal(function.ProcessIoTData, "the latest readings"),
			},
			connectionsTable: {
				Key: "connectionId", Get: s.connectionItem, Page: s.connectionItems,
				Active:  func() bool { return s.functions.BuiltIn(function.OnConnect) },
				Refusal: viewRefusal(function.OnConnect, "the WebSocket clients"),
			},
		},
	})
	return err
}

func viewRefusal(function, shows string) string {
	return fmt.Sprintf("it shows %s, which the built-in function %s keeps; upload code of your own as %[2]s (aws lambda create-function) and it is an ordinary table", shows, function)
}

func (s *Server) tablesAPI() awsapi.DynamoDB {
	return awsapi.DynamoDB{Tables: s.tables, Settings: s.tables, Items: s.tables, Readers: s.tables, Transactions: s.tables}
}

// ensureTables creates the guide's tables.
func (s *Server) ensureTables() error {
	for _, t := range [][2]string{{dataTable, "device_id"}, {connectionsTable, "connectionId"}} {
		_, err := s.tables.CreateTable(&ddb.CreateTableInput{TableDefinition: ddb.TableDefinition{
			TableName: t[0], BillingMode: "PAY_PER_REQUEST",
			AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: t[1], AttributeType: "S"}},
			KeySchema:            []ddb.KeySchemaElement{{AttributeName: t[1], KeyType: "HASH"}},
		}})
		if err != nil && !errors.Is(err, iot.ErrExists) {
			return fmt.Errorf("table %s: %w", t[0], err)
		}
	}
	return nil
}

func (s *Server) latestItem(device string) (ddb.Item, error) {
	r, err := s.store.Latest(device)
	if err != nil {
		return nil, err
	}
	return readingItem(&r)
}

func (s *Server) latestItems(after string, limit int) ([]ddb.Item, error) {
	readings, err := s.store.LatestPage(after, limit)
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
}

// readingItem is a reading as the guide's ProcessIoTData puts it.
func readingItem(r *iot.Reading) (ddb.Item, error) {
	ts, err := ddb.FromJSON([]byte(r.TS))
	if err != nil {
		return nil, fmt.Errorf("ts of device %q: %w", r.DeviceID, err)
	}
	payload, err := ddb.FromJSON(r.Payload)
	if err != nil {
		return nil, fmt.Errorf("payload of device %q: %w", r.DeviceID, err)
	}
	return ddb.Item{"device_id": ddb.String(r.DeviceID), "ts": ts, "payload": payload}, nil
}

func (s *Server) connectionItem(id string) (ddb.Item, error) {
	c, err := s.store.Connection(id)
	if err != nil {
		return nil, err
	}
	return connectionItem(&c), nil
}

func (s *Server) connectionItems(after string, limit int) ([]ddb.Item, error) {
	connections, err := s.store.Connections() // by id
	if err != nil {
		return nil, err
	}
	var items []ddb.Item
	for i := range connections {
		if connections[i].ID > after && len(items) < limit {
			items = append(items, connectionItem(&connections[i]))
		}
	}
	return items, nil
}

// connectionItem is a connection as the Lambda OnConnect puts it.
func connectionItem(c *iot.Connection) ddb.Item {
	item := ddb.Item{"connectionId": ddb.String(c.ID), "connectedAt": ddb.Int(c.ConnectedAt.UnixMilli())}
	for name, text := range map[string]string{"sourceIp": c.SourceIP, "userAgent": c.UserAgent} {
		if text != "" {
			item[name] = ddb.String(text)
		}
	}
	return item
}
