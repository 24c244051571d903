"""What every table, file and picture of ours says first; said in one place."""

NOTICE = "Research software, not a medical device; trained on synthetic CT."
