package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Events that a watcher has not been sent yet; more means that it cannot keep up, and so the bench stands still.
const queue = 1 << 16

func serve(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	directory := flags.String("directory", "", "where ca.crt and kubeconfig are written")
	services := flags.Int("services", 10000, "Services, each with one EndpointSlice")
	endpoints := flags.Int("endpoints", 10, "endpoints of a slice")
	entries := flags.Int("entries", 10, "entries of the ConfigMap")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	w := newWorld(*services, *endpoints, *entries)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	certificate, authority, err := makeCertificate()
	if err != nil {
		return err
	}
	url := "https://" + listener.Addr().String()
	kubeconfig := "apiVersion: v1\nkind: Config\ncurrent-context: bench\n" +
		"contexts: [{name: bench, context: {cluster: bench, user: bench}}]\n" +
		"clusters: [{name: bench, cluster: {server: '" + url + "', certificate-authority: ca.crt}}]\n" +
		"users: [{name: bench, user: {token: bench}}]\n"
	if err := os.WriteFile(filepath.Join(*directory, "ca.crt"), authority, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(*directory, "kubeconfig"), []byte(kubeconfig), 0o644); err != nil {
		return err
	}
	server := &http.Server{Handler: w, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	fmt.Println(url)
	return server.ServeTLS(listener, "", "")
}

// makeCertificate gives a certificate of 127.0.0.1 that is its own authority.
func makeCertificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, text, nil
}

func (w *world) ServeHTTP(out http.ResponseWriter, request *http.Request) {
	if request.URL.Path == "/_events" {
		w.flood(out, request)
		return
	}
	name := request.URL.Path[strings.LastIndexByte(request.URL.Path, '/')+1:]
	r := w.resources[name]
	query := request.URL.Query()
	switch {
	case name == "readyz":
		fmt.Fprint(out, "ok")
	case r == nil:
		http.NotFound(out, request)
	case query.Get("watch") == "1" || query.Get("watch") == "true":
		w.watch(out, request, r, query.Get("sendInitialEvents") == "true")
	default:
		w.list(out, r)
	}
}

// A list in one piece, as a server with a watch cache gives it for resourceVersion=0.
func (w *world) list(out http.ResponseWriter, r *resource) {
	w.mutex.Lock()
	version, objects := w.version, append([]string(nil), r.objects...)
	w.mutex.Unlock()
	out.Header().Set("Content-Type", "application/json")
	buffer := bufio.NewWriterSize(out, 1<<16)
	fmt.Fprintf(buffer, `{"kind":"%sList","apiVersion":"%s","metadata":{"resourceVersion":"%d"},"items":[`, r.kind, r.apiVersion, version)
	for i, object := range objects {
		if i > 0 {
			buffer.WriteByte(',')
		}
		buffer.WriteString(object)
	}
	buffer.WriteString("]}\n")
	buffer.Flush()
}

func (w *world) watch(out http.ResponseWriter, request *http.Request, r *resource, initial bool) {
	events := make(chan string, queue)
	w.mutex.Lock()
	version := w.version
	var objects []string
	if initial {
		objects = append(objects, r.objects...)
	}
	r.watchers[events] = true
	w.mutex.Unlock()
	defer func() {
		w.mutex.Lock()
		delete(r.watchers, events)
		w.mutex.Unlock()
	}()
	out.Header().Set("Content-Type", "application/json")
	flusher := out.(http.Flusher)
	flusher.Flush()
	bookmark := func(annotation string) {
		fmt.Fprintf(out, `{"type":"BOOKMARK","object":{"kind":"%s","apiVersion":"%s","metadata":{"resourceVersion":"%d"%s}}}`+"\n",
			r.kind, r.apiVersion, version, annotation)
		flusher.Flush()
	}
	if initial {
		buffer := bufio.NewWriterSize(out, 1<<16)
		for _, object := range objects {
			buffer.WriteString(r.event("ADDED", object))
		}
		buffer.Flush()
		bookmark(`,"annotations":{"k8s.io/initial-events-end":"true"}`)
	}
	timeout, _ := strconv.Atoi(request.URL.Query().Get("timeoutSeconds"))
	end := time.After(time.Duration(max(timeout, 300)) * time.Second)
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case event := <-events:
			fmt.Fprint(out, event)
			// As kube-apiserver does: once nothing more waits.
			if len(events) == 0 {
				flusher.Flush()
			}
		case <-minute.C:
			w.mutex.Lock()
			version = w.version
			w.mutex.Unlock()
			bookmark("")
		case <-end:
			return
		case <-request.Context().Done():
			return
		}
	}
}

// flood changes ?rate=N slices a second for ?seconds=S, evenly, and says how many it were, and the newest's version.
func (w *world) flood(out http.ResponseWriter, request *http.Request) {
	rate, _ := strconv.ParseFloat(request.URL.Query().Get("rate"), 64)
	seconds, _ := strconv.ParseFloat(request.URL.Query().Get("seconds"), 64)
	start := time.Now()
	made := 0
	for {
		passed := time.Since(start).Seconds()
		for ; float64(made) < min(passed, seconds)*rate; made++ {
			w.change()
		}
		if passed >= seconds {
			break
		}
		time.Sleep(time.Millisecond)
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	fmt.Fprintln(out, made, w.version)
}
