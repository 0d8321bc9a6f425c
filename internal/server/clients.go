package server

import (
	"context"
	"time"

	"github.com/fieldline-iot/fieldline/internal/awsapi"
	"github.com/fieldline-iot/fieldline/internal/broker"
)

// clients show operators the MQTT clients, and end them.
func (s *Server) clients() awsapi.Clients {
	return awsapi.Clients{
		List: s.listClients,
		Get: func(id string) (awsapi.Client, error) {
			info, err := s.broker.Client(id)
			if err != nil {
				return awsapi.Client{}, err
			}
			return clientOf(&info), nil
		},
		Kick: func(ctx context.Context, id string, cleanSession, preventWill bool) (awsapi.Kicked, error) {
			ended, err := s.broker.Dismiss(ctx, id, cleanSession, preventWill)
			return awsapi.Kicked{Connection: ended.Connection, Session: ended.Session}, err
		},
	}
}

// maxPageFilters is how many bytes of filters a page of clients holds, but for
// those of its first client.
const maxPageFilters = 1 << 20

func (s *Server) listClients(after string, limit int, connected, waiting bool) []awsapi.Client {
	which := broker.AnyClient
	switch {
	case !waiting:
		which = broker.OnlyConnected
	case !connected:
		which = broker.OnlyWaiting
	}
	var list []awsapi.Client
	size := 0
	for _, info := range s.broker.ClientsAfter(after, limit, which) {
		for _, sub := range info.Subscriptions {
			size += len(sub.Filter)
		}
		if size > maxPageFilters && len(list) > 0 {
			break
		}
		list = append(list, clientOf(&info))
	}
	return list
}

func clientOf(info *broker.ClientInfo) awsapi.Client {
	c := awsapi.Client{
		ClientID: info.ClientID, Connected: info.Connected, Thing: info.Thing, CertificateID: info.CertificateID, AccessKey: info.AccessKey,
		Remote: info.Remote, Version: info.Version, Since: info.Since, KeepAlive: int(info.KeepAlive / time.Second),
		Persistent: info.Persistent, Expires: info.Expires, Subscriptions: make([]awsapi.Subscription, len(info.Subscriptions)),
		Queue: awsapi.Queue{Messages: int64(info.Waiting), Bytes: int64(info.WaitingBytes)}, InFlight: info.InFlight,
		Stored: awsapi.Queue{Messages: info.Stored, Bytes: info.StoredBytes}, Dropped: info.Dropped,
		Received: awsapi.Traffic(info.Received), Sent: awsapi.Traffic(info.Sent),
	}
	for i, sub := range info.Subscriptions {
		c.Subscriptions[i] = awsapi.Subscription{
			Filter: sub.Filter, QoS: sub.QoS, NoLocal: sub.NoLocal, RetainAsPublished: sub.RetainAsPublished,
			RetainHandling: sub.RetainHandling, ID: sub.ID,
		}
	}
	if left := info.Left; left != nil {
		c.Left = &awsapi.Departure{At: left.At, Since: left.Since, Reason: left.Reason, Remote: left.Remote, CertificateID: left.Certificate}
	}
	return c
}
