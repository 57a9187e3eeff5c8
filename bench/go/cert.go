package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// runCert writes ca.pem, cert.pem and key.pem: an authority made for this machine and a
// certificate for 127.0.0.1 and localhost, valid for 90 days.
func runCert(args []string) {
	flags := flag.NewFlagSet("cert", flag.ExitOnError)
	folder := flags.String("out", ".", "folder to write to")
	must(flags.Parse(args), "flags")
	authority := template(1, "octoplex bench authority")
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	authorityKey := newKey()
	authorityDER := sign(authority, authority, authorityKey.Public(), authorityKey)
	parsed, err := x509.ParseCertificate(authorityDER)
	must(err, "authority")
	leaf := template(2, "localhost")
	leaf.DNSNames, leaf.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafKey := newKey()
	leafDER := sign(leaf, parsed, leafKey.Public(), authorityKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	must(err, "key")
	writePEM(filepath.Join(*folder, "ca.pem"), "CERTIFICATE", authorityDER)
	writePEM(filepath.Join(*folder, "cert.pem"), "CERTIFICATE", leafDER)
	writePEM(filepath.Join(*folder, "key.pem"), "PRIVATE KEY", keyDER)
}

func template(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err, "key")
	return key
}

func sign(cert, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) []byte {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, public, signer)
	must(err, "sign")
	return der
}

func writePEM(path, kind string, der []byte) {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	must(os.WriteFile(path, text, 0o600), path)
}
