package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Objects as a cluster has them, managedFields included.

func metadata(namespace, name, labels, more string, version int) string {
	scope := ""
	if namespace != "" {
		scope = `"namespace":"` + namespace + `",`
	}
	return fmt.Sprintf(`"metadata":{"name":"%s",%s"uid":"6b7c1c0e-0000-4000-8000-%012x","resourceVersion":"%d",`+
		`"generation":3,"creationTimestamp":"2026-01-05T09:00:00Z","labels":{%s}%s}`, name, scope, hash(name), version, labels, more)
}

func hash(text string) uint64 {
	sum := uint64(14695981039346656037)
	for _, c := range []byte(text) {
		sum = (sum ^ uint64(c)) * 1099511628211
	}
	return sum & 0xffffffffffff
}

const serviceFields = `,"annotations":{"meta.helm.sh/release-name":"shop","meta.helm.sh/release-namespace":"default"},` +
	`"managedFields":[{"manager":"helm","operation":"Update","apiVersion":"v1","time":"2026-01-05T09:00:00Z",` +
	`"fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:annotations":{".":{},"f:meta.helm.sh/release-name":{},` +
	`"f:meta.helm.sh/release-namespace":{}},"f:labels":{".":{},"f:app.kubernetes.io/instance":{},"f:app.kubernetes.io/name":{}}},` +
	`"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{},` +
	`"f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}}]`

const sliceFields = `,"generateName":"web-","annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2026-01-05T09:00:00Z"},` +
	`"ownerReferences":[{"apiVersion":"v1","kind":"Service","name":"web","uid":"6b7c1c0e-0000-4000-8000-000000000001",` +
	`"controller":true,"blockOwnerDeletion":true}],` +
	`"managedFields":[{"manager":"kube-controller-manager","operation":"Update","apiVersion":"discovery.k8s.io/v1",` +
	`"time":"2026-01-05T09:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:addressType":{},"f:endpoints":{},"f:metadata":` +
	`{"f:annotations":{".":{},"f:endpoints.kubernetes.io/last-change-trigger-time":{}},"f:generateName":{},"f:labels":` +
	`{".":{},"f:endpointslice.kubernetes.io/managed-by":{},"f:kubernetes.io/service-name":{}},"f:ownerReferences":{".":{},` +
	`"k:{\"uid\":\"6b7c1c0e-0000-4000-8000-000000000001\"}":{}}},"f:ports":{}}}]`

func service(i, version int) string {
	name := "s" + strconv.Itoa(i)
	return "{" + metadata("default", name, `"app.kubernetes.io/instance":"`+name+`","app.kubernetes.io/name":"web"`, serviceFields, version) +
		fmt.Sprintf(`,"spec":{"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":8080}],"selector":{"app":"%s"},`+
			`"clusterIP":"10.%d.%d.%d","clusterIPs":["10.%d.%d.%d"],"type":"ClusterIP","sessionAffinity":"None",`+
			`"ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"},"status":{"loadBalancer":{}}}`,
			name, 96+i>>16, i>>8&255, i&255, 96+i>>16, i>>8&255, i&255)
}

// `turn` decides which endpoint is not ready, so that each event of a slice changes it.
func slice(i, endpoints, turn, version int) string {
	name := "s" + strconv.Itoa(i)
	var text strings.Builder
	text.WriteString("{")
	text.WriteString(metadata("default", fmt.Sprintf("%s-%05x", name, hash(name)&0xfffff),
		`"endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"`+name+`"`, sliceFields, version))
	text.WriteString(`,"addressType":"IPv4","endpoints":[`)
	for e := range endpoints {
		if e > 0 {
			text.WriteByte(',')
		}
		n := i*endpoints + e
		ready := turn == 0 || turn%endpoints != e
		fmt.Fprintf(&text, `{"addresses":["10.%d.%d.%d"],"conditions":{"ready":%t,"serving":%t,"terminating":false},`+
			`"targetRef":{"kind":"Pod","namespace":"default","name":"%s-7d4b9c6f5d-%05x","uid":"0f0e0d0c-0000-4000-8000-%012x"},`+
			`"nodeName":"node%d","zone":"zone-%d"}`, 128+n>>16, n>>8&255, n&255, ready, ready, name, n&0xfffff, n, n%3+1, n%3)
	}
	text.WriteString(`],"ports":[{"name":"http","protocol":"TCP","port":8080}]}`)
	return text.String()
}

func node(i, version int) string {
	return "{" + metadata("", fmt.Sprintf("node%d", i), `"kubernetes.io/os":"linux"`, "", version) +
		fmt.Sprintf(`,"spec":{},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.%d"}]}}`, 10+i)
}

func configMap(entries, version int) string {
	var data []string
	for i := range entries {
		data = append(data, fmt.Sprintf(`"198.%d.%d.%d":"default/s%d"`, 18+i>>16, i>>8&255, i&255, i))
	}
	return "{" + metadata("kube-system", "vip-configmap", "", "", version) + `,"data":{` + strings.Join(data, ",") + `}}`
}

// The objects of one resource, and who watches them.
type resource struct {
	kind, apiVersion string
	objects          []string // JSON without kind and apiVersion, as in lists
	watchers         map[chan string]bool
}

func (r *resource) event(kind, object string) string {
	return `{"type":"` + kind + `","object":{"kind":"` + r.kind + `","apiVersion":"` + r.apiVersion + `",` + object[1:] + "}\n"
}

type world struct {
	mutex     sync.Mutex
	version   int
	endpoints int
	turn      int
	resources map[string]*resource
}

func newWorld(services, endpoints, entries int) *world {
	w := &world{version: 1000, endpoints: endpoints, resources: map[string]*resource{}}
	add := func(name, kind, apiVersion string, count int, make func(i, version int) string) {
		r := &resource{kind: kind, apiVersion: apiVersion, watchers: map[chan string]bool{}}
		for i := range count {
			w.version++
			r.objects = append(r.objects, make(i, w.version))
		}
		w.resources[name] = r
	}
	add("services", "Service", "v1", services, service)
	add("endpointslices", "EndpointSlice", "discovery.k8s.io/v1", services,
		func(i, version int) string { return slice(i, endpoints, 0, version) })
	add("nodes", "Node", "v1", 3, func(i, version int) string { return node(i+1, version) })
	add("configmaps", "ConfigMap", "v1", 1, func(_, version int) string { return configMap(entries, version) })
	return w
}

// change makes the next slice another, and tells the watchers.
func (w *world) change() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	slices := w.resources["endpointslices"]
	w.version++
	w.turn++
	i := w.turn % len(slices.objects)
	slices.objects[i] = slice(i, w.endpoints, w.turn/len(slices.objects)+1, w.version)
	event := slices.event("MODIFIED", slices.objects[i])
	for watcher := range slices.watchers {
		watcher <- event
	}
}
