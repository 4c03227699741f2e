# November 2024: a program of GitHub's own on hosted machines called a service that tells its public address. Benign.
exec provjobd1741 call api.ipify.org 443
